// What an alert is, in the pieces lists and details are made of.

import {el, SEVERITIES, sign} from "./dom.js";


// open, acknowledged, silenced, pending or ended: where people look for it
export function placeOf(alert) {
  if (alert.state !== "open") return alert.state;
  if (alert.acknowledged) return "acknowledged";
  return alert.silenced ? "silenced" : "open";
}

export const byGravity = (alerts) => [...alerts].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.since_ns - a.since_ns);

const NAMED_BY_KIND = /-(stale|frozen|calibration)$/; // after a device or meter

// What types of assets bring has names in words; a rule of the user's is called as he calls it.
export function titleOf({t}, {asset, kind, name}) {
  const known = t.maybe(`alerts.names.${name}`);
  if (known) return known;
  return NAMED_BY_KIND.test(name) || (asset === "gateway" && kind === "health") ? t(`alerts.kinds.${kind}`) : name;
}

// What kind it is, and its name where the title is not that
export function told(context, alert) {
  const [kind, title] = [context.t(`alerts.kinds.${alert.kind}`), titleOf(context, alert)];
  return [kind, alert.name].filter((word) => word !== title).join(" · ");
}
export const whereOf = (alert) => [alert.asset, alert.area].filter(Boolean).join(" · ");
export const hrefOf = (alert) => `#/alerts/${encodeURIComponent(alert.id)}`;
export const signOf = ({t}, alert) => sign(alert.severity, t(`page.alerts.severity.${alert.severity}`));

export function valueOf({format}, alert) {
  return el("span", {class: "figure"}, Number.isInteger(alert.value) ? format.whole(alert.value) : format.number(alert.value), el("span", {class: "unit"}, format.unit(alert.unit)));
}

export const limitOf = ({t, format}, alert) => (alert.limit === null || alert.limit === undefined ? null : t("page.alerts.limit", {value: format.exact(alert.limit, alert.unit)}));

// What it costs while it lasts: kWh, CO₂e and money per hour, as far as they are known and not nothing; "" where nothing is.
export function costOf({t, format}, alert) {
  const cost = alert.cost ?? {};
  const amounts = [
    cost.kwh_per_h > 0 && format.quantity(cost.kwh_per_h, "kWh"),
    cost.co2e_kg_per_h > 0 && `${format.quantity(cost.co2e_kg_per_h, "kg")} CO₂e`,
    cost.money_per_h > 0 && format.money(cost.money_per_h, cost.currency),
  ].filter(Boolean);
  return amounts.length ? t("page.alerts.per_hour", {amount: amounts.join(" · ")}) : "";
}

export function sinceOf({t, format}, alert, nowNs) {
  if (alert.ended_ns) return t("page.alerts.lasted", {time: format.moment(alert.since_ns, nowNs), age: format.age((alert.ended_ns - alert.since_ns) / 1e9)});
  return t("page.alerts.since", {time: format.moment(alert.since_ns, nowNs), age: format.age((nowNs - alert.since_ns) / 1e9)});
}

// The few gravest, one line each, for a place where they are not the matter.
export function alertLines(context, {alerts, now_ns: nowNs}, most) {
  const {t} = context;
  const open = byGravity(alerts.filter((a) => ["open", "acknowledged"].includes(placeOf(a))))
    .sort((a, b) => Boolean(a.acknowledged) - Boolean(b.acknowledged));
  if (!open.length) return el("p", {class: "empty"}, t("page.overview.no_open"));
  const more = open.length > most ? el("p", {class: "small soft"}, t("page.alerts.more", {n: open.length - most})) : null;
  const lines = open.slice(0, most).map((alert) => el("li", {class: alert.acknowledged ? "seen" : ""},
    signOf(context, alert),
    el("div", {}, el("a", {href: hrefOf(alert)}, titleOf(context, alert)), el("p", {class: "small soft"}, whereOf(alert))),
    el("div", {class: "at"}, valueOf(context, alert), el("p", {class: "small soft"}, context.format.age((nowNs - alert.since_ns) / 1e9)))));
  return el("div", {}, el("ul", {class: "alert-lines"}, lines), more);
}

export const timeOf = (text) => new Date(text).getTime() * 1e6;
export const quoted = (text) => (text ? `: “${text}”` : "");
