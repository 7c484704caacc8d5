// Energy per product of the last windows → a bar each, with the limit its alert keeps.

import {el, show} from "./dom.js";
import {kpiName} from "./names.js";

// intensities(context) → {node, update(overview)}
export function intensities(context) {
  const {t} = context;
  const list = el("ul", {class: "intensities"});
  const node = el("section", {class: "card", hidden: true}, el("div", {class: "bar"}, el("h2", {}, t("page.overview.intensities"))), list);
  return {
    node,
    update({intensities: found}) {
      node.hidden = found.length === 0;
      show(list, found.map((one) => row(context, one)));
    },
  };
}

function row({t, format}, one) {
  const {limit} = one;
  const over = limit !== null && one.value !== null && one.value > limit;
  const reach = Math.max(one.value ?? 0, limit ?? 0) * 1.15;
  const width = (value) => `${Math.min(100, (100 * value) / reach).toFixed(1)}%`;
  const bar = one.value === null || limit === null ? null : el("div", {class: "bullet", "aria-hidden": "true", "--value": width(one.value), "--limit": width(limit)},
    el("span", {class: over ? "fill over" : "fill"}), el("span", {class: "limit"}));
  const partly = one.completeness !== null && one.completeness < 0.995;
  const notes = [
    limit !== null && t("page.overview.limit", {value: format.whole(limit)}),
    partly && t("page.overview.complete", {share: format.share(one.completeness)}),
    one.end_ns ? t("page.overview.window_to", {time: format.minute(one.end_ns)}) : t("page.overview.no_window"),
  ];
  return el("li", {},
    el("div", {class: "head"}, el("a", {href: `#/assets/${encodeURIComponent(one.asset)}`}, one.asset), el("span", {class: "soft small"}, kpiName(t, one.name)),
      el("span", {class: over ? "value over" : "value"}, format.number(one.value), el("span", {class: "unit"}, format.unit(one.unit)))),
    bar, el("p", {class: "soft small"}, notes.filter(Boolean).join(" · ")));
}
