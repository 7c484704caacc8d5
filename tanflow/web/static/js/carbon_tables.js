// Months, lines, corrections and head of the ledger in; tables with exact figures out.

import {el, show, table} from "./dom.js";
import {carrierName, methodName} from "./names.js";

const KG_PER_T = 1000;
const SHARES = ["estimated", "substituted"];

const fixed = (format, digits) => {
  const shown = new Intl.NumberFormat(format.locale, {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return (value) => (value === null || value === undefined ? format.number(null) : shown.format(value));
};
const kilograms = (format) => fixed(format, 3);
const tonnes = (format) => {
  const shown = fixed(format, 3);
  return (kg) => shown(kg === null || kg === undefined ? kg : kg / KG_PER_T);
};

/** Return {scope1, location, market, scope3, total_location, total_market, biogenic, energy} [kg, kWh] of months; null: unknown. */
export function totals(months, market) {
  const sum = (name) => {
    const known = months.flatMap((m) => (m[name] === null ? [] : [m[name]]));
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  };
  const [scope1, location, other, scope3] = ["scope1", "scope2_location", "scope2_market", "scope3"].map(sum);
  const all = (second) => (scope1 === null || second === null ? null : scope1 + second + (scope3 ?? 0));
  const scope2 = market ? other : null;
  return {scope1, location, market: scope2, scope3, total_location: all(location), total_market: all(scope2), biogenic: sum("biogenic"), energy: sum("energy_kwh")};
}

/** Return the scopes of some months by location and market side by side, with what stands outside them. */
export function scopesTable(context, months, market) {
  const {t, format} = context;
  const sums = totals(months, market);
  const kg = kilograms(format);
  const row = (id, location, of) => [el("span", {class: "stacked"}, t(`page.carbon.${id}`), el("span", {class: "soft small"}, t(`page.carbon.${id}_about`))), kg(location), kg(of)];
  const columns = [{label: t("page.carbon.in_kg")}, {label: t("page.carbon.location"), number: true}, {label: t("page.carbon.market"), number: true}];
  const whole = table(t("page.carbon.by_scope"), columns, [
    row("scope1", sums.scope1, sums.scope1), row("scope2", sums.location, sums.market), row("scope3", sums.scope3, sums.scope3),
    [t("page.carbon.total"), el("strong", {}, kg(sums.total_location)), el("strong", {}, kg(sums.total_market))],
  ]);
  whole.classList.add("scopes");
  const figure = (id, value) => {
    const [text, unit] = format.amount(value, "kg");
    return el("div", {class: "total"}, el("dt", {}, t(`page.carbon.${id}`)), el("dd", {}, el("span", {class: "figure"}, text), el("span", {class: "unit"}, `${unit} CO₂e`)));
  };
  const apart = (id, text) => el("div", {}, el("dt", {}, t(`page.carbon.${id}`)), el("dd", {}, text));
  return [
    el("dl", {class: "totals"}, figure("total_location", sums.total_location), market ? figure("total_market", sums.total_market) : null),
    whole,
    market ? el("p", {class: "soft small"}, t("page.carbon.never_added")) : el("p", {class: "soft small"}, t("page.carbon.unknown_market")),
    el("dl", {class: "apart"}, apart("biogenic", `${kg(sums.biogenic)} kg`), apart("energy", `${fixed(format, 0)(sums.energy)} kWh`)),
    qualityBar(context, months),
  ];
}

function qualityBar({t, format}, months) {
  const energy = (m) => m.energy_kwh ?? 0;
  const all = months.reduce((sum, m) => sum + energy(m), 0);
  if (!all) return null;
  const [estimated, substituted] = SHARES.map((name) => months.reduce((sum, m) => sum + energy(m) * (m[`${name}_share`] ?? 0), 0) / all);
  const measured = Math.max(0, 1 - estimated - substituted);
  const shares = {measured, estimated, substituted};
  const part = ([id, value]) => el("span", {class: `share-${id}`, "--share": String(value)});
  const word = ([id, value]) => el("li", {}, el("span", {class: `key share-${id}`, "aria-hidden": "true"}), t(`page.carbon.${id}_word`), " ", el("span", {class: "soft"}, format.share(value)));
  return el("div", {class: "measured"}, el("h3", {}, t("page.carbon.quality")),
    el("div", {class: "share-bar", "aria-hidden": "true"}, Object.entries(shares).map(part)), el("ul", {class: "shares small"}, Object.entries(shares).map(word)));
}

/** Return all months of a year [t], each with a button that shows it alone. */
export function monthsTable({t, format}, months, {market, month, choose}) {
  const shown = tonnes(format);
  const name = (i) => new Intl.DateTimeFormat(format.locale, {month: "short", timeZone: "UTC"}).format(Date.UTC(2000, i));
  const ids = ["scope1", "scope2_location", "scope2_market", "scope3", "total_location", "total_market", "biogenic"];
  const columns = [{label: t("page.carbon.in_t")}, ...[...ids, "energy_mwh", "estimated", "substituted", "restated"].map((id) => ({label: t(`page.carbon.${id}`), number: true}))];
  const cells = (some) => {
    const sums = totals(some, market);
    return [sums.scope1, sums.location, sums.market, sums.scope3, sums.total_location, sums.total_market, sums.biogenic, sums.energy].map(shown);
  };
  const row = (m, i) => [
    el("button", {type: "button", class: "plain link", "aria-pressed": String(month === i + 1), "aria-label": t("page.carbon.show_month", {month: name(i)}), onclick: () => choose(month === i + 1 ? 0 : i + 1)}, name(i)),
    ...cells([m]), ...SHARES.map((id) => (m.scope1 === null ? "" : format.share(m[`${id}_share`]))), m.restated ? el("span", {class: "tag info"}, String(m.restated)) : "",
  ];
  const known = months.map((m, i) => [m, i]).filter(([m, i]) => m.scope1 !== null || month === i + 1);
  const rows = known.map(([m, i]) => row(m, i));
  return table(t("page.carbon.table"), columns, [...rows, [t("page.carbon.whole_year"), ...cells(months), "", "", ""]]);
}

/** Return the lines of the account, what is counted in totals first; parts are told apart and not added. */
export function linesTable({t, format}, lines) {
  const kg = kilograms(format);
  const parts = lines.filter((line) => line.role === "breakdown");
  const counted = lines.filter((line) => line.role !== "breakdown" && (line.co2e_kg || line.amount));
  const ids = ["stream", "scope", "category", "amount", "energy", "co2e", "estimated", "substituted"];
  const columns = ids.map((id) => ({label: t(`page.carbon.${id}`), number: !["stream", "scope", "category"].includes(id)}));
  const row = (line) => [
    el("span", {class: "stacked"}, el("code", {}, line.stream), el("span", {class: "soft small"}, carrierName(t, line.carrier))),
    line.scope ? `${t(`page.assets.scopes.${line.scope}`)}, ${methodName(t, line.method)}` : t("page.assets.scopes.0"),
    [...new Set([t.maybe(`page.carbon.cat.${line.category}`) ?? line.category, t.maybe(`page.carbon.roles.${line.role}`) ?? line.role])].join(" · "),
    el("span", {}, kg(line.amount), el("span", {class: "unit"}, format.unit(line.unit))), el("span", {}, kg(line.energy_kwh), el("span", {class: "unit"}, "kWh")),
    el("span", {}, kg(line.co2e_kg), el("span", {class: "unit"}, "kg")), format.share(line.estimated), format.share(line.substituted),
  ];
  const order = (a, b) => (a.scope || 9) - (b.scope || 9) || a.method.localeCompare(b.method) || b.co2e_kg - a.co2e_kg;
  const of = (some, caption) => table(caption, columns, some.toSorted(order).map(row));
  const content = el("div");
  const caption = t("page.carbon.parts");
  return [
    counted.length ? of(counted, t("page.carbon.lines")) : el("p", {class: "empty"}, t("page.carbon.none")),
    parts.length ? el("details", {class: "as-table", ontoggle: () => content.firstChild || show(content, of(parts, caption))},
      el("summary", {class: "small"}, t("page.carbon.show_parts", {n: parts.length})), el("p", {class: "soft small"}, t("page.carbon.parts_note")), content) : null,
  ];
}

const person = (who) => who || "–";

/** Return what was corrected: when, by whom, why and by how much. */
export function corrections({t, format}, {year, restatements}) {
  if (!restatements.length) return el("p", {class: "empty"}, t("page.carbon.no_restatements", {year}));
  const kg = kilograms(format);
  const signed = new Intl.NumberFormat(format.locale, {minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "exceptZero"});
  const columns = ["at", "month", "kind", "who", "why", "before", "after", "difference"].map((id) => ({label: t(`page.carbon.${id}`), number: ["before", "after", "difference"].includes(id)}));
  const rows = restatements.toReversed().map((r) => [
    format.time(Date.parse(r.at) * 1e6), r.month ?? "", t.maybe(`page.carbon.kinds.${r.kind}`) ?? r.kind ?? "",
    el("span", {class: "stacked"}, person(r.who), r.approved_by ? el("span", {class: "soft small"}, t("page.carbon.approved_by", {name: r.approved_by})) : null),
    el("span", {class: "why"}, r.why ?? ""), kg(r.from), kg(r.to), el("strong", {}, signed.format(r.difference_kg)),
  ]);
  return [table(t("page.carbon.restatements"), columns, rows), el("p", {class: "soft small"}, t("page.carbon.kept"))];
}

/** Return what was put in the place of missing data. */
export function substitutions({t, format}, {year, substitutions: found}) {
  if (!found.length) return el("p", {class: "empty"}, t("page.carbon.no_substitutions", {year}));
  const kg = kilograms(format);
  const columns = ["stream", "from", "to", "method", "who", "energy", "co2e"].map((id) => ({label: t(`page.carbon.${id}`), number: ["energy", "co2e"].includes(id)}));
  const at = (text) => format.time(Date.parse(text) * 1e6);
  const rows = found.toReversed().map((s) => [
    el("code", {}, s.stream), at(s.from), at(s.to), el("span", {class: "stacked"}, t.maybe(`page.carbon.ladder.${s.method.replaceAll(" ", "_")}`) ?? s.method, el("span", {class: "soft small why"}, s.why ?? "")), person(s.who), `${kg(s.kwh)} kWh`, `${kg(s.co2_kg)} kg`,
  ]);
  return table(t("page.carbon.substitutions"), columns, rows);
}

/** Return the newest block of the ledger with its hash, to be kept elsewhere. */
export function head({t}, {seq, hash}) {
  const button = el("button", {type: "button", onclick: async () => {
    await navigator.clipboard.writeText(`${seq}:${hash}`);
    button.textContent = t("page.carbon.copied");
  }}, t("page.carbon.copy"));
  return [
    el("p", {class: "head-line"}, el("span", {}, t("page.carbon.block", {seq})), el("code", {}, hash), navigator.clipboard ? button : null),
    el("p", {class: "soft small"}, t("page.carbon.head_about"), " ", el("code", {}, "tanflow ledger verify --head")),
  ];
}
