// Where energy and emissions go: /api/flow → a Sankey of carriers, areas, assets and products, or a table of the same.

import {chart} from "./chart.js";
import {choice, el, show, table} from "./dom.js";
import {carrierName, placesOf} from "./names.js";

const EVERY_MS = 15_000;
const ENERGY = {unit: "energy"};
const LAYERS = ["carrier", "area", "asset", "product"];
const COLOURS = {
  electricity: "electricity", solar: "solar", wind: "solar", natural_gas: "gas", lpg: "gas", lng: "gas", biogas: "gas", coal: "fuel",
  diesel: "fuel", fuel_oil: "fuel", steam: "steam", heat: "heat", hot_water: "heat", cooling: "cold", chilled_water: "cold",
  compressed_air: "air", product: "product",
};
const NARROW = matchMedia("(max-width: 44rem)");

// flowCard(context) → {node, dispose}
export function flowCard(context) {
  const {t, api, poll} = context;
  const asked = {span: "15min", unit: "energy", form: NARROW.matches ? "table" : "chart"};
  const place = el("div", {class: "sankey"});
  const listing = el("div");
  const lead = el("p", {class: "soft small"});
  let found = null;
  const drawing = chart(place, t("page.overview.flow"), (ink, style) => options(context, found, asked, ink, style));
  const draw = () => {
    if (!found) return;
    const links = shownLinks(found, asked);
    const chosen = asked.form === "chart" && links.length > 0;
    place.hidden = !chosen;
    listing.hidden = chosen;
    const silent = found.silent.length ? ` · ${t("page.overview.silent", {names: placesOf(found.silent)})}` : null;
    show(lead, t(`page.overview.flow_${asked.unit}_${asked.span}`), silent, links.some((l) => l.estimated) ? ` · ${t(`page.overview.flow_estimated_${asked.form}`)}` : null);
    if (chosen) drawing.draw();
    else show(listing, links.length ? asTable(context, found, asked) : el("p", {class: "empty"}, t("page.overview.no_flow")));
  };
  const reading = poll(async (signal) => {
    found = await api.get("/api/flow", {span: asked.span}, signal);
    draw();
  }, EVERY_MS);
  const pick = (label, name, options_, then) =>
    choice(t(`page.overview.${label}`), options_.map((v) => [v, t(`page.overview.${name}_${v}`)]), asked[name], (value) => {
      asked[name] = value;
      then();
    });
  const controls = el("div", {class: "controls"}, pick("flow_span", "span", ["15min", "today"], reading.now),
    pick("flow_unit", "unit", ["energy", "carbon"], draw), pick("flow_form", "form", ["chart", "table"], draw));
  const node = el("section", {class: "card flow"}, el("div", {class: "bar"},
    el("div", {class: "titled"}, el("h2", {}, t("page.overview.flow")), lead), controls), place, listing);
  return {node, dispose() { reading(); drawing.dispose(); }};
}

// ── what is drawn ───────────────────────────────────────────────────────────────────────────────

const unitOf = (asked) => (asked.unit === "carbon" ? (asked.span === "15min" ? "kg/h" : "kg") : asked.span === "15min" ? "kW" : "kWh");

const amountOf = (link, asked) => (asked.unit === "energy" ? link.kw ?? link.kwh : link.co2e_kg_per_h ?? link.co2e_kg);

const shownLinks = (found, asked) => found.links.map((link) => ({...link, amount: amountOf(link, asked)})).filter((link) => link.amount > 0);

// The carrier a node lives on: its own, or that of most of what flows into it.
function carriers(found) {
  const of = new Map(found.nodes.filter((n) => n.layer === "carrier").map((n) => [n.id, n.name]));
  for (const layer of LAYERS.slice(1)) {
    for (const node of found.nodes.filter((n) => n.layer === layer)) {
      const into = found.links.filter((l) => l.target === node.id).sort((a, b) => amountOf(b, ENERGY) - amountOf(a, ENERGY));
      of.set(node.id, node.kind === "product" ? "product" : of.get(into[0]?.source));
    }
  }
  return of;
}

// Of a text in halves of a square letter: Chinese ones take two.
const widthOf = (text) => [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e80 ? 2 : 1), 0);

function nameOf({t, format}, node) {
  if (node.layer === "carrier") return t(`page.overview.carrier_${node.kind}`, {name: carrierName(t, node.name)});
  if (node.kind === "rest") return t("page.overview.rest", {name: node.name});
  if (node.kind === "export") return t("page.overview.exported");
  if (node.kind === "product") return t("page.overview.product_of", {name: node.name, amount: format.quantity(node.amount, node.unit)});
  return node.name;
}

function options(context, found, asked, ink, style) {
  const {format} = context;
  const links = shownLinks(found, asked);
  const used = new Set(links.flatMap((l) => [l.source, l.target]));
  const nodes = found.nodes.filter((n) => used.has(n.id));
  const of = carriers(found);
  const colour = (id) => ink(COLOURS[of.get(id)] ?? "neutral");
  const unit = unitOf(asked);
  const through = (id) => Math.max(...["source", "target"].map((end) => links.filter((l) => l[end] === id).reduce((sum, l) => sum + l.amount, 0)));
  const names = new Map(nodes.map((n) => [n.id, nameOf(context, n)]));
  const label = (id) => `${names.get(id)}  ${format.quantity(through(id), unit)}`;
  const last = nodes.filter((n) => !links.some((l) => l.source === n.id)).map((n) => widthOf(label(n.id)));
  const present = LAYERS.filter((layer) => nodes.some((n) => n.layer === layer));
  return {
    tooltip: {
      trigger: "item",
      formatter: ({dataType, data}) => (dataType === "edge"
        ? `${names.get(data.source)} → ${names.get(data.target)}\n${format.quantity(data.value, unit)}${data.estimated ? ` (${context.t("page.overview.estimated")})` : ""}`
        : `${names.get(data.name)}\n${format.quantity(through(data.name), unit)}`),
    },
    series: [{
      type: "sankey", left: style.rem * 0.2, right: style.small * 0.6 * Math.max(...last) + style.rem * 1.4, top: style.rem * 0.6, bottom: style.rem * 0.6, nodeWidth: style.rem * 0.7,
      nodeGap: style.rem * 1.05, draggable: false, layoutIterations: 48, emphasis: {focus: "adjacency"},
      label: {
        color: ink("text"), fontSize: style.small, textBorderWidth: 0, distance: style.rem * 0.4,
        rich: {name: {fontSize: style.small, fontWeight: 600, color: ink("text")}, value: {fontSize: style.small, color: ink("soft")}},
        formatter: ({name}) => `{name|${names.get(name)}}  {value|${format.quantity(through(name), unit)}}`,
      },
      lineStyle: {curveness: 0.5},
      data: nodes.map((n) => ({name: n.id, depth: present.indexOf(n.layer), itemStyle: {color: colour(n.id), borderWidth: 0}})),
      links: links.map((l) => ({source: l.source, target: l.target, value: l.amount, estimated: l.estimated, lineStyle: {color: colour(l.source), opacity: l.estimated ? 0.22 : 0.38}})),
    }],
  };
}

function asTable(context, found, asked) {
  const {t, format} = context;
  const names = new Map(found.nodes.map((n) => [n.id, nameOf(context, n)]));
  const energy = {...asked, unit: "energy"};
  const carbon = {...asked, unit: "carbon"};
  const columns = ["flow_from", "flow_to"].map((key) => ({label: t(`page.overview.${key}`)}))
    .concat([unitOf(energy), `${unitOf(carbon)} CO₂e`].map((label) => ({label, number: true})));
  const rows = found.links.map((l) => [names.get(l.source), names.get(l.target),
    (l.estimated ? "≈ " : "") + format.number(amountOf(l, energy)), format.number(amountOf(l, carbon))]);
  return table(t("page.overview.flow"), columns, rows);
}
