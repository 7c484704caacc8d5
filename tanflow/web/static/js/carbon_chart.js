// The months of a year in; two stacked bars for each, location- and market-based, out.

import {chart} from "./chart.js";
import {el} from "./dom.js";

const KG_PER_T = 1000;
const INKS = {scope1: "gas", scope2: "electricity", scope3: "neutral"};

/** Return {node, draw(months, {year, market}), close()}; `choose(month)` is told the month that was picked. */
export function monthsChart(context, choose) {
  const {t} = context;
  const drawing = el("div", {class: "months-chart"});
  let what = null;
  const made = chart(drawing, "", (ink, style) => options(context, what, ink, style), {click: (event) => choose(event.dataIndex + 1)});
  const note = el("p", {class: "soft small"}, t("page.carbon.bars"));
  return {
    node: el("div", {}, drawing, note),
    draw(months, about) {
      what = {months, ...about};
      note.hidden = !about.market;
      made.draw();
    },
    close: () => made.dispose(),
  };
}

function options({t, format}, {months, year, market}, ink, style) {
  const names = months.map((_, i) => new Intl.DateTimeFormat(format.locale, {month: "short", timeZone: "UTC"}).format(Date.UTC(year, i)));
  const bar = (scope, field, stack, faint) => ({
    type: "bar", name: t(`page.carbon.${scope}`), stack, barGap: "12%", barCategoryGap: "38%", barMaxWidth: style.rem * 2,
    itemStyle: {color: ink(INKS[scope]), opacity: faint ? 0.6 : 1}, data: months.map((m) => (m[field] === null ? null : m[field] / KG_PER_T)),
  });
  const stack = (side, faint) => [bar("scope1", "scope1", side, faint), bar("scope2", `scope2_${side}`, side, faint), bar("scope3", "scope3", side, faint)];
  const series = [...stack("location", false), ...(market ? stack("market", true) : [])];
  return {
    aria: {enabled: true, label: {description: t("page.carbon.by_month_label", {year})}},
    legend: {top: 0, right: 0, data: ["scope1", "scope2", "scope3"].map((id) => t(`page.carbon.${id}`)), textStyle: {color: ink("soft"), fontSize: style.small}, itemWidth: style.rem * 0.8, itemHeight: style.rem * 0.8},
    grid: style.grid({left: style.rem * 3.8, top: style.rem * 2.1}),
    xAxis: {type: "category", data: names, axisLabel: {color: ink("soft"), fontSize: style.small}, axisLine: {lineStyle: {color: ink("line")}}, axisTick: {show: false}},
    yAxis: style.valueAxis("t CO₂e"),
    tooltip: {trigger: "axis", axisPointer: {type: "shadow", shadowStyle: {color: ink("chosen"), opacity: 0.5}}, formatter: (points) => tip(t, format, months[points[0].dataIndex], names[points[0].dataIndex], market)},
    series,
  };
}

function tip(t, format, month, name, market) {
  if (month.scope1 === null) return `${name}\n${t("page.carbon.none")}`;
  const line = (id, kg) => `${t(`page.carbon.${id}`)}: ${format.quantity(kg, "kg")}`;
  const lines = [line("scope1", month.scope1), line("scope2_location", month.scope2_location), market ? line("scope2_market", month.scope2_market) : null, line("scope3", month.scope3)];
  return [name, ...lines.filter(Boolean)].join("\n");
}
