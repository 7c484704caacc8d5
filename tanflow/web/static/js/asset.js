// One asset by name in; its power, readings, figures, trend, states, carbon, alerts and devices, live, out.

import {titleOf} from "./alert_parts.js";
import {api} from "./api.js";
import {figures} from "./bands.js";
import {el, setText, show, sign, table} from "./dom.js";
import {readings} from "./live.js";
import {carrierName, factText, runsAs, TROUBLE, typeName} from "./names.js";
import {origin} from "./origin.js";
import {poll} from "./poll.js";
import {address} from "./address.js";
import {runningStates} from "./states.js";
import {trend} from "./trend.js";

const EVERY_MS = 10_000;
const TREE_MS = 2_000;
const ALERTS_S = 30 * 86_400;

export async function mount(root, context) {
  const {t, name} = context;
  const [about, listed] = await Promise.all([
    api.get(`/api/assets/${encodeURIComponent(name)}`),
    api.get("/api/series", {asset: name}),
  ]);
  const parts = new Parts(context, about, listed.series);
  show(root, parts.head, el("div", {class: "asset-columns"}, el("div", {}, parts.wide), el("div", {}, parts.narrow)));
  const stops = [
    poll(async (signal) => parts.take(await api.get(`/api/assets/${encodeURIComponent(name)}`, {}, signal)), EVERY_MS),
    poll(async (signal) => parts.now(await api.get("/api/assets", {}, signal)), TREE_MS),
    poll(async (signal) => parts.alerted(await alertsOf(name, about.now_ns, signal)), EVERY_MS, (error) => parts.unknown(error)),
    context.stream.watch({series: parts.watched}, {latest: (news) => parts.news(news)}),
    () => parts.close(),
  ];
  document.title = `${name} · ${t("page.assets.title")}`;
  return () => stops.forEach((stop) => stop());
}

async function alertsOf(name, nowNs, signal) {
  const from = new Date(nowNs / 1e6 - ALERTS_S * 1000).toISOString();
  const {alerts} = await api.get("/api/alerts", {state: "all", from}, signal);
  return alerts.filter((alert) => alert.asset === name);
}

class Parts {
  constructor(context, about, listed) {
    this.context = context;
    const {t} = context;
    this.name = context.name;
    this.series = listed.filter((s) => s.measurement !== "gateway" || s.quantity === "gap");
    this.figures = header(context, about.about);
    this.head = this.figures.node;
    this.states = about.states.length ? runningStates(context, about.states) : null;
    const meanings = new Map(about.states.map((state) => [state.key, state.meaning]));
    this.trend = trend(context, {series: this.series, meanings, nowNs: about.now_ns}, (stretch) => this.states?.show(stretch));
    this.trend.choose(context.parameters.get("series") ?? "");
    this.live = readings(context, about, (key) => this.trend.choose(key));
    this.kpis = figures(context, (key) => this.trend.choose(key));
    this.origin = origin(context);
    this.alerts = el("div");
    this.devices = el("div");
    const section = (id, ...content) => el("section", {class: `card of-${id}`, "aria-labelledby": `title-${id}`},
      el("h2", {id: `title-${id}`}, t(`page.assets.section.${id}`)), content);
    this.wide = [
      section("trend", this.trend.node, this.states ? el("h3", {}, t("page.assets.section.states")) : null, this.states?.node ?? null),
      section("origin", this.origin.node),
      section("alerts", this.alerts),
      about.devices.length ? section("devices", this.devices) : null,
    ].filter(Boolean);
    this.narrow = [about.kpis.length ? section("kpis", this.kpis.node) : null, section("live", this.live.node)].filter(Boolean);
    this.watched = [...new Set([...about.points.map((p) => p.key), ...this.series.map((s) => s.key)])];
    this.take(about);
  }

  take(about) {
    this.live.take(about);
    this.kpis.take(about.kpis);
    this.origin.take(about);
    this.nowNs = about.now_ns;
    show(this.devices, devicesTable(this.context, about.devices));
  }

  now({areas}) {
    const asset = areas.flatMap((a) => a.assets).find((a) => a.name === this.name);
    if (asset) this.figures.take(asset);
  }

  news(news) {
    this.live.news(news);
    this.trend.news(news);
  }

  alerted(alerts) {
    show(this.alerts, alertsTable(this.context, alerts, this.nowNs));
  }

  unknown(error) {
    if (!this.alerts.firstChild) show(this.alerts, el("p", {class: "empty"}, this.context.t("page.shell.failed", {why: error.message})));
  }

  close() {
    this.trend.close();
    this.states?.close();
  }
}

function header(context, about) {
  const {t, format} = context;
  const figure = (id) => ({id, value: el("span", {class: "figure"}), unit: el("span", {class: "unit"})});
  const [power, co2, newest, state] = ["power_now", "co2_now", "newest", "state_now"].map(figure);
  const place = (f) => el("div", {class: "now"}, el("dt", {}, t(`page.assets.${f.id}`)), el("dd", {}, f.value, f.unit));
  const link = (name) => el("a", {href: address("assets", name)}, name);
  const links = (names) => names.flatMap((name, i) => [i ? t("page.assets.comma") : null, link(name)]);
  const fact = (id, content) => (content ? el("div", {}, el("dt", {}, t(`page.assets.${id}`)), el("dd", {}, content)) : null);
  const facts = [
    fact("area", about.area), fact("type_name", typeName(t, about.type)), fact("carrier_name", carrierName(t, about.carrier)),
    fact("feeds_from", about.fed_by && link(about.fed_by)), fact("feeds", about.feeds?.length ? links(about.feeds) : null),
    fact("members", about.members.length ? links(about.members) : null),
    ...Object.entries(about.facts ?? {}).map(([name, value]) => fact(`fact.${name}`, factText(context, name, value))),
  ];
  const node = el("header", {class: "asset-head"},
    el("nav", {class: "small", "aria-label": t("page.assets.back")}, el("a", {href: address("assets")}, t("page.assets.back"))),
    el("div", {class: "bar"}, el("h1", {}, about.name)),
    el("div", {class: "card"}, el("dl", {class: "now-row"}, [power, co2, newest, state].map(place)),
      el("dl", {class: "about small"}, facts)));
  return {
    node,
    take(asset) {
      const showAmount = (f, value, name) => {
        const [text, unit] = format.amount(value, name);
        setText(f.value, text);
        setText(f.unit, value === null ? "" : unit);
      };
      showAmount(power, asset.power_kw, "kW");
      showAmount(co2, asset.co2_kg_per_h, "kg/h");
      setText(newest.value, asset.age_s === null ? format.number(null) : t("page.shell.ago", {age: format.age(asset.age_s)}));
      show(state.value, ...stateOf(t, asset));
    },
  };
}

function stateOf(t, {state, running}) {
  const wrong = TROUBLE[state];
  const runs = running ? runsAs(t, running) : "";
  return [
    runs || (wrong ? "" : t(`page.assets.asset_state.${state}`)),
    wrong ? el("span", {class: `tag spaced ${wrong}`}, sign(wrong), t(`page.assets.asset_state.${state}`)) : null,
  ].filter(Boolean);
}

function devicesTable({t}, devices) {
  const columns = ["name", "state", "connection", "address", "template", "error"].map((id) => ({label: t(`page.assets.device.${id}`)}));
  const rows = devices.map((d) => {
    const wrong = d.state !== "ok" && d.state !== "running";
    const tag = el("span", {class: wrong ? `tag ${d.state === "slow" ? "warning" : "critical"}` : "soft"}, t.maybe(`page.assets.device_state.${d.state}`) ?? d.state);
    return [d.name, tag, `${d.connection} · ${d.protocol}`, d.address ?? "", d.template ?? "", el("span", {lang: "en"}, d.last_error ?? "")];
  });
  return table(t("page.assets.section.devices"), columns, rows);
}

function alertsTable({t, format}, alerts, nowNs) {
  if (!alerts.length) return el("p", {class: "empty"}, t("page.assets.alert.none"));
  const columns = ["name", "state", "since", "ended", "value", "limit"].map((id) => ({label: t(`page.assets.alert.${id}`), number: id === "value" || id === "limit"}));
  const rows = alerts.slice(0, 20).map((a) => [
    el("span", {class: "named"}, sign(a.severity, t(`page.alerts.severity.${a.severity}`)), el("a", {href: address("alerts", a.id)}, titleOf({t}, a))),
    t.maybe(`page.assets.alert.${a.ended ? "over" : a.state}`) ?? a.state,
    format.moment(a.since_ns, nowNs), a.ended ? format.moment(Date.parse(a.ended) * 1e6, nowNs) : "",
    format.quantity(a.value, a.unit), format.quantity(a.limit, a.unit),
  ]);
  return [table(t("page.assets.section.alerts"), columns, rows), el("p", {class: "small"}, el("a", {href: address("alerts")}, t("page.assets.alert.all")))];
}
