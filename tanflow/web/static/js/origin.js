// What an asset emitted today, line by line, in; amount × factor = kilograms, and each factor with its source, out.

import {el, show, table} from "./dom.js";
import {methodName} from "./names.js";

const COLUMNS = ["reading", "amount", "factor", "co2", "scope", "time"];
const NUMBERS = ["amount", "factor", "co2"];
const SIDES = {location: ["factor", "location"], market: ["factor", "market"]}; // what belongs to either total

/** Return {node, take(about)}. */
export function origin(context) {
  const {t} = context;
  const node = el("div");
  let shown = "";
  return {
    node,
    take({carbon}) {
      const text = JSON.stringify(carbon);
      if (text === shown) return;
      shown = text;
      if (!carbon.length) show(node, el("p", {class: "empty"}, t("page.assets.origin.none")));
      else show(node, products(context, carbon));
    },
  };
}

function products(context, carbon) {
  const {t} = context;
  const factors = [...new Map(carbon.filter((row) => row.factor).map((row) => [row.factor.version ?? row.factor.id, row.factor])).values()];
  const number = (factor) => factors.findIndex((f) => (f.version ?? f.id) === (factor.version ?? factor.id)) + 1;
  const columns = COLUMNS.map((id) => ({label: t(`page.assets.origin.${id}`), number: NUMBERS.includes(id)}));
  return [
    el("p", {class: "small"}, totals(context, carbon)),
    table(t("page.assets.section.origin"), columns, carbon.map((row) => product(context, row, number))),
    el("h3", {}, t("page.assets.origin.factors")),
    el("ol", {class: "factors small"}, factors.map((factor) => source(context, factor))),
    el("p", {class: "soft small"}, t("page.assets.origin.intro")),
  ];
}

function totals({t, format}, carbon) {
  const sum = (side) => carbon.filter((row) => SIDES[side].includes(row.method)).reduce((kg, row) => kg + row.co2e_kg, 0);
  const two = carbon.some((row) => row.method === "market") ? ["location", "market"] : ["location"];
  return two.map((side) => el("span", {class: "pair"}, el("span", {class: "soft"}, t(`page.assets.origin.total_${side}`)), " ", el("strong", {}, format.quantity(sum(side), "kg")), " "));
}

function product({t, format}, row, number) {
  const exact = (value, digits) => new Intl.NumberFormat(format.locale, {maximumFractionDigits: digits, minimumFractionDigits: digits}).format(value);
  const {factor} = row;
  const amount = el("span", {}, exact(row.amount, 3), el("span", {class: "unit"}, format.unit(row.unit)));
  const kg = el("strong", {}, exact(row.co2e_kg, 3), el("span", {class: "unit"}, "kg"));
  const value = factor ? el("span", {}, `× ${new Intl.NumberFormat(format.locale, {maximumSignificantDigits: 8}).format(factor.value)}`,
    el("span", {class: "unit"}, factorUnit(format, factor.unit)), el("sup", {}, `[${number(factor)}]`), " =") : t("page.assets.origin.no_factor");
  const scope = [t.maybe(`page.assets.scopes.${row.scope}`) ?? String(row.scope), methodName(t, row.method)].join(", ");
  const stretch = row.from_ns ? `${format.minute(row.from_ns)}–${format.minute(row.to_ns)} ` : "";
  const part = el("span", {class: row.part === "provisional" ? "soft" : null}, stretch, row.part ? t(`page.assets.origin.${row.part}`) : "");
  return [el("code", {}, row.reading || row.stream), amount, value, kg, scope, part];
}

const factorUnit = (format, unit) => unit.split("/").map((part) => format.unit(part)).join("/");

function source({t}, factor) {
  const told = [factor.publisher, factor.publication, t("page.assets.origin.year", {year: factor.year})].filter(Boolean).join(", ");
  const variant = t.maybe(`page.assets.variant.${factor.variant}`) ?? factor.variant;
  return el("li", {}, el("code", {}, factor.id), " ", el("span", {class: `tag${factor.variant === "fallback" ? " warning" : ""}`}, variant), " ",
    el("span", {}, told), el("span", {class: "soft source"}, factor.source));
}
