// The answer of /api/overview → the strip of figures above the page.

import {el, setText, SEVERITIES, show, sign} from "./dom.js";
import {placesOf} from "./names.js";

// figures(context) → {node, update(overview)}
export function figures(context) {
  const {t} = context;
  const node = el("section", {class: "card", "aria-label": t("page.overview.figures")});
  const strip = el("dl", {class: "strip"});
  const boxes = new Map();
  show(node, strip);
  function box(name) {
    if (!boxes.has(name)) {
      const value = el("dd", {class: "figure"});
      const notes = el("dd", {class: "notes"});
      strip.append(el("div", {class: name}, el("dt", {}, t(`page.overview.${name}`)), value, notes));
      boxes.set(name, {value, notes});
    }
    return boxes.get(name);
  }
  return {
    node,
    update(found) {
      for (const [name, value, notes] of shown(context, found)) {
        const {value: at, notes: below} = box(name);
        fill(at, value);
        lines(below, notes);
      }
    },
  };
}

// A figure is [text, unit] or nodes; only what changed is touched.
function fill(node, value) {
  if (!Array.isArray(value)) return void show(node, value);
  const [text, unit] = value;
  if (!node.firstElementChild?.classList.contains("amount")) show(node, el("span", {class: "amount"}), el("span", {class: "unit"}));
  setText(node.firstElementChild, text);
  setText(node.lastElementChild, unit);
}

function lines(node, notes) {
  const wanted = notes.filter(Boolean);
  while (node.children.length > wanted.length) node.lastElementChild.remove();
  while (node.children.length < wanted.length) node.append(el("span"));
  wanted.forEach((text, i) => setText(node.children[i], text));
}

function shown(context, found) {
  const {t, format} = context;
  const {today, yesterday, expected} = found;
  const against = (now, before) => (now !== null && before ? now / before - 1 : null);
  const compared = (word, value) => (value === null ? null : t(`page.overview.${word}`, {change: format.change(value)}));
  const before = (name) => compared("than_yesterday", against(today[name], yesterday[name]));
  const cost = today.cost;
  const dearer = cost && yesterday.cost ? against(cost.amount, yesterday.cost.amount) : null;
  const own = found.own_kw === null ? null : t("page.overview.own_power", {value: format.quantity(found.own_kw, "kW")});
  const silent = found.silent?.length ? t("page.overview.silent", {names: placesOf(found.silent)}) : null;
  return [
    ["power_now", format.amount(found.power_kw, "kW"), [own, silent]],
    ["carbon_now", format.amount(found.co2_kg_per_h.location, "kg/h"),
      [t("page.overview.location_based"), market(context, found.co2_kg_per_h.market, "kg/h")]],
    ["energy_today", format.amount(today.energy_kwh, "kWh"),
      [before("energy_kwh"), expected ? compared("than_expected", against(today.energy_kwh, expected.energy_kwh)) : null]],
    ["carbon_today", format.amount(today.co2_kg, "kg"), [before("co2_kg"), market(context, today.co2_market_kg, "kg")]],
    ["cost_today", cost ? [format.money(cost.amount, cost.currency), ""] : [format.number(null), ""],
      [cost ? compared("than_yesterday", dearer) : t("page.overview.no_tariff")]],
    ["green_share", [format.share(found.green_share), ""],
      [found.own_share === null ? null : t("page.overview.own_share", {share: format.share(found.own_share)})]],
    ["open_alerts", counts(t, found.alerts), [found.alerts.pending ? t("page.overview.pending", {n: found.alerts.pending}) : null]],
  ];
}

const market = ({t, format}, value, unit) => t("page.overview.market_based", {value: format.quantity(value, unit)});

function counts(t, alerts) {
  const some = SEVERITIES.filter((severity) => alerts[severity] > 0);
  if (!some.length) return el("span", {class: "none"}, t("page.overview.none_open"));
  return el("a", {href: "#/alerts", class: "counts"}, some.map((severity) =>
    el("span", {}, sign(severity, t(`page.alerts.severity.${severity}`)), String(alerts[severity]))));
}
