// Why an alert fired: the curve of what it watches, with its limit and the moment it fired.

import {chart} from "./chart.js";
import {el, show} from "./dom.js";

const S = 1e9;
const LEAST_S = 1_800;
const MOST_BEFORE_S = 86_400;
const POINTS = 600;
const FIGURES = ["kpi", "grade", "completeness", "energy_intensity"];
const STEPS = [[10, "10s"], [30, "30s"], [60, "1min"], [300, "5min"], [900, "15min"], [3_600, "1h"], [86_400, "1d"]];

// alertCurve(context) → {node, rule, update(alert, nowNs, signal), dispose}
export function alertCurve(context) {
  const {t, api} = context;
  const place = el("div");
  const none = el("p", {class: "empty", hidden: true}, t("page.alerts.no_curve"));
  const node = el("div", {}, place, none);
  let shown = null;
  const drawing = chart(place, t("page.alerts.why_fired"), (ink, style) => options(context, shown, ink, style));
  return {
    node,
    rule: el("div", {class: "rule"}),
    async update(alert, nowNs, signal) {
      const keys = [alert.watched || alert.value_key, alert.limit_key].filter(Boolean);
      const [from, to] = range(alert, nowNs);
      const found = keys.length ? await api.get("/api/query", {series: keys.join(","), from, to, step: stepFor(keys[0], (to - from) / S)}, signal) : {series: []};
      const rows = (key) => found.series.find((s) => s.key === key);
      shown = {alert, from, to, nowNs, watched: rows(keys[0]), limit: rows(alert.limit_key)};
      const some = Boolean(shown.watched?.time_ns.length);
      place.hidden = !some;
      none.hidden = some;
      if (some) drawing.draw();
    },
    dispose: drawing.dispose,
  };
}

// As long before as it lasted, so that the usual is beside the unusual; at least half an hour.
function range(alert, nowNs) {
  const end = alert.ended_ns || nowNs;
  const before = Math.min(Math.max((end - alert.since_ns) / S, LEAST_S), MOST_BEFORE_S) * S;
  return [Math.round(alert.since_ns - before), Math.round(Math.min(nowNs, alert.ended_ns ? end + before / 4 : end))];
}

// Windows are few and told one by one: a shorter step would cut them.
function stepFor(key, seconds) {
  if (seconds <= 3 * LEAST_S || FIGURES.includes(key.split(".").at(-1))) return "none";
  return (STEPS.find(([step]) => seconds / step <= POINTS) ?? STEPS.at(-1))[1];
}

function options({t, format}, {alert, from, to, nowNs, watched, limit}, ink, style) {
  const points = withHoles(watched).map(([ns, value]) => [format.wall(ns), value]);
  const mark = (ns, word) => ({xAxis: format.wall(ns), label: {formatter: `${t(`page.alerts.${word}`)} ${format.moment(ns, nowNs)}`}});
  const marks = [mark(alert.since_ns, alert.state === "pending" ? "pending_since" : "fired_at"), alert.ended_ns ? mark(alert.ended_ns, "cleared_at") : null].filter(Boolean);
  const grave = ink(alert.severity === "critical" ? "critical-fill" : "warning-fill");
  const limits = alert.unit === watched.unit ? limitLine(alert, limit, from, to, nowNs) : []; // seconds of silence are no kW
  const named = [["watched", style.solid], ...(limits.length ? [["limit_line", style.dashed]] : [])];
  return {
    grid: style.grid({top: style.rem * 2.6, right: style.rem * 1.4}),
    legend: style.legend(named.map(([name, icon]) => ({name: t(`page.alerts.${name}`), icon})), {left: style.rem * 3.2, top: 0}),
    xAxis: style.timeAxis({min: format.wall(from), max: format.wall(to)}),
    yAxis: style.valueAxis(format.unit(watched.unit), {scale: true}),
    tooltip: {trigger: "axis", formatter: (rows) => [format.wallTime(rows[0].axisValue), ...rows.map((r) => `${r.seriesName}  ${format.quantity(r.value[1], watched.unit)}`)].join("\n")},
    series: [
      {
        name: t("page.alerts.watched"), type: "line", ...(watched.time_ns.length < 60 ? {symbol: "circle", symbolSize: style.rem * 0.35} : {symbol: "none"}), data: points, z: 3, color: ink("today"), lineStyle: {width: style.line(1.6), color: ink("today")},
        markLine: {symbol: "none", silent: true, lineStyle: {color: ink("text"), type: "solid", width: 1}, label: {color: ink("text"), fontSize: style.small, position: "end", distance: 3}, data: marks},
      },
      ...(limits.length ? [{name: t("page.alerts.limit_line"), type: "line", step: "end", symbol: "none", color: grave, lineStyle: {width: style.line(1.4), type: "dashed", color: grave}, data: limits.map(([ns, v]) => [format.wall(ns), v])}] : []),
    ],
  };
}

// Rows as [time, value]; where nothing was told for longer than a row covers, the line has a hole.
function withHoles({time_ns: times, span_ns: spans, value}) {
  return times.flatMap((ns, i) => {
    const missing = i > 0 && spans[i] > 0 && ns - spans[i] - times[i - 1] > spans[i] / 2;
    return missing ? [[ns - spans[i], null], [ns, value[i]]] : [[ns, value[i]]];
  });
}

// The limit as it was told along the way, drawn through to both ends; a fixed one is a straight line.
function limitLine(alert, limit, from, to, nowNs) {
  const told = limit?.time_ns.length ? limit.time_ns.map((ns, i) => [ns, limit.value[i]]) : [];
  if (!told.length) return alert.limit === null || alert.limit === undefined ? [] : [[from, alert.limit], [to, alert.limit]];
  return [[from, told[0][1]], ...told, [Math.min(to, nowNs), told.at(-1)[1]]];
}
