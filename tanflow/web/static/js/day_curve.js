// Today's, yesterday's and the expected course of power → one curve of the day.

import {chart} from "./chart.js";
import {el} from "./dom.js";

const DAY_MS = 86_400_000;

// dayCurve(context) → {node, update(overview), dispose}
export function dayCurve(context) {
  const {t, format} = context;
  const place = el("div");
  const node = el("section", {class: "card curve"},
    el("div", {class: "bar"}, el("h2", {}, t("page.overview.course")), el("p", {class: "soft small"}, t("page.overview.course_lead"))), place);
  let found = null;
  let drawn = "";
  const drawing = chart(place, t("page.overview.course"), (ink, style) => options(context, found, ink, style));
  return {
    node,
    update(overview) {
      found = overview;
      const mark = JSON.stringify([found.curve.today.at(-1), found.expected?.curve.length, format.day(found.now_ns)]);
      if (mark !== drawn) drawing.draw();
      drawn = mark;
    },
    dispose: drawing.dispose,
  };
}

function options({t, format}, found, ink, style) {
  const name = (key) => t(`page.overview.${key}`);
  const on = (points, shift_ms = 0) => points.map(([ns, kw]) => [format.wall(ns) + shift_ms, kw]);
  const today = on(found.curve.today);
  const begin = midnight(format.wall(found.now_ns));
  const line = (key, data, color, more = {}) =>
    ({name: name(key), type: "line", data, symbol: "none", color: ink(color), lineStyle: {width: style.line(1.3), color: ink(color)}, ...more});
  const last = today.at(-1);
  const band = found.expected?.band ?? [];
  const series = [
    ...bandOf(name("usual"), band, format, ink),
    line("yesterday", on(found.curve.yesterday, DAY_MS), "before"),
    found.expected && line("expected", on(found.expected.curve), "before", {lineStyle: {width: style.line(1.3), type: "dashed", color: ink("soft")}, color: ink("soft")}),
    line("today", today, "today", {
      lineStyle: {width: style.line(2.3), color: ink("today")}, areaStyle: {color: ink("today"), opacity: 0.08}, z: 4,
      markPoint: last && {symbol: "circle", symbolSize: style.rem * 0.6, data: [{coord: last}], label: {show: false}, itemStyle: {color: ink("today")}},
    }),
  ].filter(Boolean);
  return {
    grid: style.grid({top: style.rem * 2.2}),
    legend: style.legend(series.filter((s) => s.name && (s.id !== "usual" || innerWidth > 45 * style.rem)).map((s) => ({name: s.name, icon: s.lineStyle.type ? style.dashed : style.solid})).reverse(), {right: 0, top: 0}),
    xAxis: style.timeAxis({min: begin, max: begin + DAY_MS, minInterval: 3 * 3.6e6, axisLabel: {color: ink("soft"), fontSize: style.small, formatter: "{HH}:{mm}", hideOverlap: true}}),
    yAxis: style.valueAxis("kW", {axisLabel: {color: ink("soft"), fontSize: style.small, formatter: (v) => format.whole(v)}}),
    tooltip: {trigger: "axis", formatter: (rows) => told(format, rows)},
    series,
  };
}

// Two lines on top of each other of which only what lies between is seen: lowest, and what is between that and highest.
function bandOf(name, band, format, ink) {
  if (!band.length) return [];
  const part = (value) => band.map((row) => [format.wall(row[0]), value(row)]);
  const hidden = {type: "line", stack: "usual", symbol: "none", lineStyle: {opacity: 0}, silent: true, tooltip: {show: false}};
  return [
    {...hidden, id: "usual-low", data: part(([, low]) => low)},
    {...hidden, id: "usual", name, color: ink("band"), areaStyle: {color: ink("band"), opacity: 0.55}, data: part(([, low, high]) => (low === null ? null : high - low))},
  ];
}

const midnight = (wall_ms) => Math.floor(wall_ms / DAY_MS) * DAY_MS;
const clock = (wall_ms) => new Date(wall_ms).toISOString().slice(11, 16);

function told(format, rows) {
  const lines = rows.filter((row) => !row.seriesId.startsWith("usual")).map((row) => `${row.seriesName}  ${format.quantity(row.value[1], "kW")}`);
  return [`${clock(rows[0].axisValue)} – ${clock(rows[0].axisValue + 900_000)}`, ...lines.reverse()].join("\n");
}
