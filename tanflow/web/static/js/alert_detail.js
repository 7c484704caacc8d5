// One alert: what, where, since when, what it costs; why it fired, as a curve and in words; what was done about it.

import {alertCurve} from "./alert_curve.js";
import {costOf, limitOf, placeOf, quoted, signOf, sinceOf, timeOf, titleOf, told, valueOf, whereOf} from "./alert_parts.js";
import {buttons} from "./alert_dialogs.js";
import {el, keepFocus, show, table} from "./dom.js";
import {ruleWords} from "./rule_words.js";

const EVERY_MS = 10_000;
const DAYS = 366;

export function mountDetail(root, context) {
  const {t, api, poll, stream, can, name: id} = context;
  const top = el("div");
  const below = el("div");
  const curve = alertCurve(context);
  show(root, el("p", {class: "back"}, el("a", {href: "#/alerts"}, `← ${t("page.alerts.all")}`)), top,
    el("section", {class: "card"}, el("h2", {}, t("page.alerts.why_fired")), curve.rule, curve.node), below);
  const read = async (signal) => {
    const found = await api.get("/api/alerts", {state: "all", from: `-${DAYS}d`, limit: 1_000}, signal);
    const alert = found.alerts.find((one) => one.id === id);
    curve.node.parentElement.hidden = !alert;
    if (!alert) return void show(top, el("h1", {}, t("page.alerts.gone")));
    const acts = can("audit") ? (await api.get("/api/acts", {limit: 500}, signal)).acts.filter((act) => act.about?.id === id) : [];
    keepFocus(top, () => show(top, head(context, alert, found.now_ns, () => reading.now())));
    show(curve.rule, ruleWords(context, alert));
    show(below, done(context, alert, acts));
    await curve.update(alert, found.now_ns, signal);
  };
  const reading = poll(read, EVERY_MS, (error) => { if (error.status) show(top, el("p", {class: "notice warning"}, t("page.shell.failed", {why: error.message}))); });
  const stops = [reading, stream.watch({}, {alerts: () => reading.now()}), curve.dispose];
  return () => stops.forEach((stop) => stop());
}

function head(context, alert, nowNs, again) {
  const {t, format} = context;
  const place = placeOf(alert);
  const fact = (key, ...value) => el("div", {}, el("dt", {}, t(`page.alerts.${key}`)), el("dd", {}, value));
  const some = (value) => value !== null && value !== undefined;
  const facts = [
    fact("fact_value", valueOf(context, alert), el("p", {class: "small soft"}, limitOf(context, alert))),
    some(alert.worst) && fact("fact_worst", format.quantity(alert.worst, alert.unit)),
    fact("fact_since", sinceOf(context, alert, nowNs)),
    costOf(context, alert) && fact("fact_cost", costOf(context, alert)),
    some(alert.energy_kwh) && fact("fact_lost", format.quantity(alert.energy_kwh, "kWh")),
  ];
  return el("section", {class: "card alert-head"},
    el("div", {class: "bar"},
      el("h1", {}, signOf(context, alert), " ", titleOf(context, alert)),
      alert.state === "open" ? el("div", {class: "acts controls"}, buttons(context, alert, again)) : null),
    el("p", {class: "soft"}, whereOf(alert), " · ", told(context, alert), " · ", t(`page.alerts.severity.${alert.severity}`), " · ", el("strong", {}, t(`page.alerts.state_${place}`))),
    el("dl", {class: "facts"}, facts),
    alert.advice ? el("p", {class: "notice"}, t.advice(alert.advice)) : null);
}

function done(context, alert, acts) {
  const {t, format} = context;
  const {acknowledged: taken, silenced} = alert;
  const lines = [
    taken && el("p", {}, t("page.alerts.acknowledged_by", {user: taken.by, time: format.time(timeOf(taken.at))}), quoted(taken.note)),
    silenced && el("p", {}, t("page.alerts.silenced_by", {user: silenced.by, time: format.time(timeOf(silenced.until))}), quoted(silenced.why)),
    acts.length > 0 && table(t("page.alerts.acts"), ["act_at", "act_who", "act_what", "act_words"].map((key) => ({label: t(`page.alerts.${key}`)})),
      acts.map((act) => [format.time(act.at_ns), act.user, t.maybe(`page.alerts.act.${act.what}`) ?? act.what, act.about.note ?? act.about.why ?? ""])),
  ].filter(Boolean);
  return el("section", {class: "card"}, el("h2", {}, t("page.alerts.acts")), lines.length ? lines : el("p", {class: "soft"}, t("page.alerts.no_acts")));
}
