// The rows, gaps and marks of one curve in; its drawing with band, comparison and a lane of quality, out.

import {chart} from "./chart.js";
import {qualityOf, stateName} from "./names.js";
import {curve, gapsOf, isFigure, marksOf} from "./trend_data.js";

const LANE = 0.45; // rem: height of the lane of quality
const FROM_ZERO = 0.6; // a curve that falls below this share of its top is drawn from zero

/** Return {draw(what), plot(), close()}. */
export function trendChart(context, node) {
  let what = null;
  const made = chart(node, "", (ink, style) => options(context, what, ink, style));
  return {
    draw(given) {
      what = given;
      made.draw();
    },
    // Where time runs [px from the left edge].
    plot() {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      return {left: rem * 3.6, width: Math.max(1, node.clientWidth - rem * 4.2)};
    },
    close: () => made.dispose(),
  };
}

function options(context, what, ink, style) {
  const {format} = context;
  const wall = (ms) => format.wall(ms * 1e6);
  const stairs = what.kind !== "mean" || isFigure(what.series);
  const [from, to] = [what.shown.from, what.shown.to];
  const inside = (rows) => around(rows, from, to);
  const rows = inside(what.rows);
  const placed = (points) => points.map(([at, value]) => [wall(at), value]);
  const line = (given, gaps, more) => ({
    type: "line", symbol: "none", step: stairs && !isFigure(what.series) ? "end" : false, data: placed(curve(given, gaps, {stepMs: what.step.ms, stairs})), z: 3, ...more,
  });
  const main = line(rows, what.gaps, {
    name: what.name, lineStyle: {color: ink("today"), width: 1.6}, itemStyle: {color: ink("today")},
    areaStyle: what.kind === "sum" ? {color: ink("today"), opacity: 0.16} : undefined,
    showSymbol: rows.length < 3, symbol: rows.length < 3 ? "circle" : "none",
  });
  const before = what.before ? line(inside(what.before), gapsOf(what.before, what.step.ms, what.series.period_s), {
    name: "before", z: 2, lineStyle: {color: ink("before"), width: 1.4, type: [5, 4]}, itemStyle: {color: ink("before")},
  }) : null;
  return {
    aria: {enabled: true, label: {description: what.label}},
    grid: style.grid({left: style.rem * 3.6, right: style.rem * 0.6, bottom: style.rem * 2.1, top: style.rem * 1.5}),
    xAxis: style.timeAxis({min: wall(from), max: wall(to), splitNumber: ticksOf(style)}),
    yAxis: {...style.valueAxis(format.unit(what.series.unit)), ...extent(rows, what, inside)},
    tooltip: {trigger: "axis", formatter: (points) => tip(context, what, points)},
    series: [bandOf(what, inside, wall, ink), before, main, lane(what, rows, wall, ink, style)].filter(Boolean),
  };
}

// How many times the axis names: a wall screen has room for more.
const ticksOf = (style) => (style.rem > 20 ? 8 : 6);

function around(rows, from, to) {
  const first = Math.max(0, rows.findIndex((row) => row.at >= from) - 1);
  const after = rows.findIndex((row) => row.at > to);
  return rows.slice(first, after < 0 ? rows.length : after + 1);
}

function extent(rows, what, inside) {
  const drawn = [rows, what.before && inside(what.before), what.low && inside(what.low), what.high && inside(what.high)].filter(Boolean);
  const values = drawn.flatMap((some) => some.flatMap((row) => (row.value === null ? [] : [row.value])));
  if (!values.length) return {min: 0, max: 1};
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (what.kind === "sum" || (low >= 0 && low < FROM_ZERO * high)) return {min: low < 0 ? undefined : 0};
  if (low === high) {
    const step = 10 ** Math.floor(Math.log10(Math.abs(low) || 1));
    return {min: Math.floor(low / step - 1) * step, max: Math.ceil(high / step + 1) * step};
  }
  return {scale: true};
}

// Least to greatest of each step, one shape for each run without a hole.
function bandOf(what, inside, wall, ink) {
  if (!what.low || !what.high) return null;
  const highs = new Map(what.high.map((row) => [row.at, row.value]));
  const pieces = [[]];
  const gaps = [...what.gaps];
  for (const row of inside(what.low)) {
    while (gaps.length && gaps[0].to <= row.at) {
      gaps.shift();
      pieces.push([]);
    }
    const high = highs.get(row.at);
    if (row.value === null || high === undefined || high === null) pieces.push([]);
    else pieces.at(-1).push([wall(row.at + what.step.ms / 2), row.value, high]);
  }
  const drawn = pieces.filter((piece) => piece.length > 1);
  if (!drawn.length) return null;
  const renderItem = (params, api) => {
    const piece = drawn[params.dataIndex];
    const points = [...piece.map(([at, low]) => api.coord([at, low])), ...piece.toReversed().map(([at, , high]) => api.coord([at, high]))];
    return {type: "polygon", shape: {points}, style: {fill: ink("today"), opacity: 0.18}};
  };
  return {type: "custom", silent: true, clip: true, z: 1, renderItem, data: drawn.map((piece) => piece[0].slice(0, 2)), tooltip: {show: false}};
}

// Below the curve: what is uncertain, bad or missing, when.
function lane(what, rows, wall, ink, style) {
  const marks = marksOf(rows, what.step.ms).map((mark) => ({...mark, kind: mark.severity === 1 ? "uncertain" : "bad"}));
  const gaps = what.gaps.filter((gap) => gap.to > what.shown.from && gap.from < what.shown.to).map((gap) => ({...gap, kind: "gap"}));
  const all = [...marks, ...gaps];
  if (!all.length) return null;
  const height = style.rem * LANE;
  const looks = {
    uncertain: {fill: ink("warning-fill")}, bad: {fill: ink("critical-fill")},
    gap: {fill: "transparent", stroke: ink("strong-line"), lineWidth: 1},
  };
  const renderItem = (params, api) => {
    const mark = all[params.dataIndex];
    const {x, y, width, height: tall} = params.coordSys;
    const [begin] = api.coord([wall(mark.from), 0]);
    const [end] = api.coord([wall(mark.to), 0]);
    const left = Math.max(begin, x);
    const right = Math.min(Math.max(end, left + 2), x + width);
    return {type: "rect", shape: {x: left, y: y + tall - height, width: Math.max(0, right - left), height}, style: looks[mark.kind]};
  };
  return {type: "custom", silent: true, z: 4, renderItem, data: all.map((mark) => [wall(mark.from), 0]), tooltip: {show: false}};
}

function tip({t, format}, what, points) {
  const at = points[0]?.axisValue;
  if (at === undefined) return "";
  const wall = (row) => format.wall((row.at + (what.kind === "mean" ? what.step.ms / 2 : 0)) * 1e6);
  const row = nearest(what.rows, at, wall);
  if (!row) return "";
  const lines = [format.time(row.at * 1e6), `${what.name}: ${valueText(t, format, what, row.value)}`];
  const [low, high] = [what.low, what.high].map((rows) => rows?.find((other) => other.at === row.at)?.value);
  if (low !== undefined && high !== undefined && low !== null) lines.push(`${t("page.assets.trend.least")} ${format.number(low)} · ${t("page.assets.trend.greatest")} ${format.number(high)}`);
  const before = what.before && nearest(what.before, at, wall);
  if (before) lines.push(`${t(`page.assets.trend.compare_${what.compare}`)}: ${valueText(t, format, what, before.value)}`);
  if (row.severity) lines.push(qualityOf(t, row.bits | row.severity).words);
  return lines.join("\n");
}

function valueText(t, format, what, value) {
  const meaning = what.meaning?.[String(value)];
  return meaning ? stateName(t, meaning) : format.quantity(value, what.series.unit);
}

function nearest(rows, at, wall) {
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (wall(rows[middle]) < at) low = middle + 1;
    else high = middle;
  }
  const [one, other] = [rows[low - 1], rows[low]];
  if (!one || !other) return one ?? other;
  return Math.abs(wall(one) - at) < Math.abs(wall(other) - at) ? one : other;
}
