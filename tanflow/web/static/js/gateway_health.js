// The health the stream tells in; what is wrong, the gateway's own figures, every connection and component, out.

import {el, setText, show, sign, table} from "./dom.js";

const EVERY_MS = 10_000;
const SEVERITY = {down: "critical", degraded: "warning", stopped: "warning", starting: "info"};
const LARGE = 1e9;

/** Mount the state of the gateway; → unmount. */
export async function mount(root, context) {
  const {api, poll, stream} = context;
  const node = {why: el("div"), figures: el("dl", {class: "figures"}), connections: el("div"), delivery: el("div"), components: el("div")};
  const {t} = context;
  const card = (id, content) => el("section", {class: "card", "aria-labelledby": `gateway-${id}`}, el("h2", {id: `gateway-${id}`}, t(`page.gateway.${id}`)), content);
  show(root, el("div", {class: "stack"}, node.why, el("div", {class: "card"}, node.figures), card("connections", node.connections), card("delivery", node.delivery), card("components", node.components)));
  let shown = "";
  const take = (health) => {
    drawFigures(node.figures, context, health);
    const text = JSON.stringify([health.reasons, health.notices, health.components]);
    if (text === shown) return;
    shown = text;
    draw(node, context, health);
  };
  const stops = [
    stream.watch({}, {health: take}),
    poll(async (signal) => take(await api.get("/api/health", {}, signal)), EVERY_MS),
  ];
  return () => stops.forEach((stop) => stop());
}

function draw(node, context, health) {
  const {t} = context;
  const all = Object.entries(health.components);
  const of = (kind) => all.filter(([name]) => kindOf(name) === kind);
  show(node.why, reasons(context, health));
  show(node.connections, connectionsTable(context, of("collector")));
  const delivery = of("sink");
  node.delivery.parentElement.hidden = !delivery.length;
  show(node.delivery, delivery.length ? componentsTable(context, delivery, t("page.gateway.delivery")) : null);
  show(node.components, componentsTable(context, of("inside"), t("page.gateway.components")));
}

const INSIDE = ["stage"];
function kindOf(name) {
  if (name.startsWith("collector.")) return "collector";
  const [first, ...rest] = name.split(".");
  return rest.length && !INSIDE.includes(first) ? "sink" : "inside";
}

function reasons({t}, health) {
  const list = (items, severity) => el("ul", {class: `notice ${severity} reasons`, "aria-label": t(severity === "info" ? "page.gateway.notices" : "page.gateway.why")},
    items.map((words) => el("li", {}, sign(severity), el("span", {lang: "en"}, words))));
  const worst = health.state === "down" ? "critical" : "warning";
  return [
    health.reasons.length ? list(health.reasons, worst) : el("p", {class: "well"}, t("page.gateway.all_well")),
    health.notices?.length ? list(health.notices, "info") : null,
  ];
}

function drawFigures(node, {t, format}, health) {
  const ms = (seconds) => `${new Intl.NumberFormat(format.locale, {maximumFractionDigits: seconds < 0.01 ? 1 : 0}).format(seconds * 1000)} ms`;
  const whole = (n) => new Intl.NumberFormat(format.locale).format(n);
  const gigabytes = `${new Intl.NumberFormat(format.locale, {maximumFractionDigits: 1}).format(health.disk_free_bytes / LARGE)} GB`;
  const figures = [
    ["accepting", t(`page.gateway.${health.accepting ? "accepted" : "refused"}`), "", health.accepting ? "" : "critical"],
    ["clock", t(`page.gateway.clock_${health.clock_trusted ? "ok" : "bad"}`), "", health.clock_trusted ? "" : "warning"],
    ["backlog", t("page.gateway.rows", {n: whole(health.backlog_rows)})],
    ["disk", gigabytes],
    ["lag", ms(health.loop_lag_s), t("page.gateway.lag_max", {time: ms(health.loop_lag_max_s)})],
    ["position", whole(health.log_position)],
    ["revision", t("page.gateway.revision_n", {n: health.revision})],
    ["version", health.version],
    ["uptime", format.age(health.uptime_s)],
  ];
  if (!node.firstChild) {
    show(node, figures.map(([id]) => el("div", {}, el("dt", {}, t(`page.gateway.figure.${id}`)), el("dd", {}, el("span", {class: "figure"}), el("span", {class: "soft small more"})))));
  }
  figures.forEach(([, text, more = "", severity = ""], i) => {
    const [figure, rest] = node.children[i].querySelectorAll("span");
    setText(figure, text);
    setText(rest, more);
    figure.className = `figure ${severity}`;
  });
}

const count = (format, n) => el("span", {class: n ? null : "zero"}, new Intl.NumberFormat(format.locale).format(n));

function state({t}, component) {
  const severity = SEVERITY[component.state];
  return el("span", {class: severity ? `tag ${severity}` : "soft"}, severity ? sign(severity) : null, t.maybe(`page.gateway.state.${component.state}`) ?? component.state);
}

// Which devices the misses are of is told to whoever points at the number or listens to it.
function missed({format}, component) {
  const whole = new Intl.NumberFormat(format.locale);
  const parts = Object.entries(component.links?.missed ?? {}).map(([name, n]) => `${name} ${whole.format(n)}`).join(", ");
  const node = count(format, component.missed);
  if (parts) node.title = parts;
  return node;
}

function latency({format}, seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const digits = seconds < 0.01 ? 1 : 0;
  return seconds < 1 ? `${new Intl.NumberFormat(format.locale, {maximumFractionDigits: digits}).format(seconds * 1000)} ms` : lag({format}, seconds);
}

function lag({format}, seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${new Intl.NumberFormat(format.locale, {maximumFractionDigits: 1}).format(seconds)} s` : format.age(seconds);
}

function wrong({t}, component) {
  const what = Object.entries(component.links?.what ?? {}).filter(([, words]) => words);
  if (what.length) return el("ul", {class: "wrong", "aria-label": t("page.gateway.device_list")}, what.map(([name, words]) => el("li", {}, el("strong", {}, name), " ", el("span", {lang: "en"}, words))));
  if (!component.last_error) return "";
  const now = component.state in SEVERITY;
  return el("span", {class: now ? null : "soft", lang: now ? "en" : null}, now ? component.last_error : t("page.gateway.was", {error: component.last_error}));
}

function connectionsTable(context, found) {
  const {t, format} = context;
  if (!found.length) return el("p", {class: "empty"}, t("page.gateway.no_connections"));
  const ids = ["name", "state", "devices", "received", "missed", "latency", "bad", "rejected", "retried", "restarts", "lag", "error"];
  const columns = ids.map((id) => ({label: t(`page.gateway.column.${id}`), number: !["name", "state", "devices", "error"].includes(id)}));
  const rows = found.map(([name, c]) => [
    name.slice("collector.".length), state(context, c), t("page.gateway.devices_ok", {ok: c.links.known - c.links.wrong, all: c.links.known}),
    count(format, c.received), missed(context, c), latency(context, c.latency_s), count(format, c.bad), count(format, c.rejected), count(format, c.retried), count(format, c.restarts),
    lag(context, c.lag_s), wrong(context, c),
  ]);
  return table(t("page.gateway.connections"), columns, rows);
}

function componentsTable(context, found, caption) {
  const {t, format} = context;
  const ids = ["name", "state", "received", "delivered", "rejected", "retried", "restarts", "backlog", "lag", "error"];
  const columns = ids.map((id) => ({label: t(`page.gateway.column.${id}`), number: !["name", "state", "error"].includes(id)}));
  const rows = found.map(([name, c]) => [
    componentName(t, name), state(context, c), count(format, c.received), count(format, c.delivered), count(format, c.rejected), count(format, c.retried), count(format, c.restarts),
    count(format, c.backlog), c.received || c.delivered ? lag(context, c.lag_s) : "", wrong(context, c),
  ]);
  return table(caption, columns, rows);
}

function componentName(t, name) {
  const [first, ...rest] = name.split(".");
  const words = t.maybe(`page.gateway.component.${name.replace(".", "_")}`) ?? t.maybe(`page.gateway.component.${first}`, {name: rest.join(".")});
  if (words === undefined) return el("code", {}, name);
  return el("span", {}, words, " ", el("code", {class: "soft"}, name));
}
