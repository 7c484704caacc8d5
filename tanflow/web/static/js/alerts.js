// The page of alerts: those in force, what they wait for, what was; one by its id in detail.

import {mountDetail} from "./alert_detail.js";
import {buttons} from "./alert_dialogs.js";
import {byGravity, costOf, hrefOf, limitOf, placeOf, quoted, signOf, sinceOf, timeOf, titleOf, told, valueOf, whereOf} from "./alert_parts.js";
import {choice, el, keepFocus, SEVERITIES, show} from "./dom.js";
import {drawSilences} from "./silences.js";

const EVERY_MS = 10_000;
const PLACES = ["open", "acknowledged", "pending", "ended", "silences"];
const DAYS = [1, 7, 30, 90];
const MOST = 500;

export function mount(root, context) {
  return context.name ? mountDetail(root, context) : mountList(root, context);
}

function mountList(root, context) {
  const {t, api, go, parameters, poll, stream} = context;
  const asked = parameters.get("show");
  const place = PLACES.includes(asked) ? asked : "open";
  const filter = {severity: parameters.get("severity") ?? "", asset: parameters.get("asset") ?? "", days: Number(parameters.get("days")) || 7};
  const look = (changed) => go("alerts", "", {show: place, ...(place === "ended" ? {...filter, ...changed} : {}), ...changed});
  const list = el("div");
  const wrong = el("p", {class: "notice warning", role: "alert", hidden: true});
  const tabs = choice(t("page.alerts.which"), PLACES.map((name) => [name, t(`page.alerts.show_${name}`)]), place, (name) => go("alerts", "", {show: name}));
  show(root, el("div", {class: "bar"}, el("h1", {}, t("page.names.alerts")), el("div", {class: "controls"}, tabs)),
    place === "ended" ? filters(context, filter, look) : null, wrong, list);
  const read = async (signal) => {
    const draw = place === "silences"
      ? await drawSilences(context, signal, () => reading.now())
      : drawn(context, place, filter, await api.get("/api/alerts", query(place, filter), signal), () => reading.now());
    wrong.hidden = true;
    keepFocus(list, () => show(list, draw));
  };
  const reading = poll(read, EVERY_MS, (error) => {
    show(wrong, t("page.shell.failed", {why: error.message}));
    wrong.hidden = !error.status;
  });
  const stops = [reading, stream.watch({}, {alerts: () => reading.now()})];
  return () => stops.forEach((stop) => stop());
}

function query(place, filter) {
  if (place === "ended") return {state: "ended", from: `-${filter.days}d`, limit: MOST};
  return {state: place === "pending" ? "pending" : "open", limit: MOST};
}

function filters({t}, filter, look) {
  const pick = (name, options) => el("label", {}, el("span", {class: "label"}, t(`page.alerts.filter_${name}`)),
    el("select", {onchange: (event) => look({[name]: event.target.value})},
      options.map(([value, text]) => el("option", {value, selected: String(value) === String(filter[name])}, text))));
  const asset = el("input", {type: "search", value: filter.asset, placeholder: t("page.alerts.any_asset"), onchange: (event) => look({asset: event.target.value.trim()})});
  return el("div", {class: "filters"},
    pick("days", DAYS.map((n) => [n, t("page.alerts.last_days", {n})])),
    pick("severity", [["", t("page.alerts.any_severity")], ...SEVERITIES.map((s) => [s, t(`page.alerts.severity.${s}`)])]),
    el("label", {}, el("span", {class: "label"}, t("page.alerts.filter_asset")), asset));
}

function drawn(context, place, filter, {alerts, now_ns: nowNs}, again) {
  const {t} = context;
  const wanted = alerts.filter((a) => place !== "open" || ["open", "silenced"].includes(placeOf(a)))
    .filter((a) => place !== "acknowledged" || placeOf(a) === "acknowledged")
    .filter((a) => place !== "ended" || ((!filter.severity || a.severity === filter.severity) && (!filter.asset || a.asset.includes(filter.asset))));
  if (!wanted.length) return el("p", {class: "card empty"}, t(`page.alerts.none_${place}`));
  const sorted = place === "ended" ? [...wanted].sort((a, b) => b.since_ns - a.since_ns) : byGravity(wanted);
  return el("ul", {class: `alerts ${place}`}, sorted.map((alert) => row(context, alert, nowNs, again)));
}

function row(context, alert, nowNs, again) {
  const {t} = context;
  const lasting = alert.state === "open";
  const acts = lasting ? el("div", {class: "acts controls"}, buttons(context, alert, again)) : null;
  return el("li", {class: `card alert ${lasting && !alert.acknowledged && !alert.silenced ? alert.severity : "calm"}`},
    signOf(context, alert),
    el("div", {class: "what"}, el("h2", {}, el("a", {href: hrefOf(alert), "data-at": `link ${alert.id}`}, titleOf(context, alert))),
      el("p", {class: "small soft"}, [whereOf(alert), told(context, alert)].filter(Boolean).join(" · "))),
    el("div", {class: "value"}, valueOf(context, alert), el("p", {class: "small soft"}, limitOf(context, alert))),
    el("p", {class: "since small"}, sinceOf(context, alert, nowNs)),
    el("p", {class: "cost small"}, costOf(context, alert)),
    acts, more(t, context, alert));
}

function more(t, context, alert) {
  const {format} = context;
  const lines = [
    alert.advice && el("p", {}, t.advice(alert.advice)),
    alert.acknowledged && el("p", {class: "soft"}, t("page.alerts.acknowledged_by", {user: alert.acknowledged.by, time: format.time(timeOf(alert.acknowledged.at))}), quoted(alert.acknowledged.note)),
    alert.silenced && el("p", {class: "soft"}, t("page.alerts.silenced_by", {user: alert.silenced.by, time: format.time(timeOf(alert.silenced.until))}), quoted(alert.silenced.why)),
  ].filter(Boolean);
  return lines.length ? el("div", {class: "more small"}, lines) : null;
}
