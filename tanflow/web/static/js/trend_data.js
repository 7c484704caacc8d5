// A series and a stretch of time in; what to ask the history, and its answer as points, gaps and marks of quality, out.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MOST = 1500; // points of one curve: more than a screen shows
// Whole minutes and hours come from roll-ups, so a year costs no more than an hour.
const STEPS = [
  ["5s", 5 * SECOND], ["15s", 15 * SECOND], ["1min", MINUTE], ["5min", 5 * MINUTE], ["15min", 15 * MINUTE], ["1h", HOUR],
  ["3h", 3 * HOUR], ["6h", 6 * HOUR], ["12h", 12 * HOUR], ["1d", DAY], ["7d", 7 * DAY], ["28d", 28 * DAY],
];
const FIGURES = ["kpi", "grade", "completeness", "energy_intensity"]; // an average of them means something, a sum nothing
const MOST_FIGURES_MS = 32 * DAY; // windows are told one by one so long: a step shorter than a window would cut it
const GAP = 2.5; // times the usual distance of two rows
const BAD = 2;

export const RANGES = {"15min": 15 * MINUTE, "1h": HOUR, day: DAY, week: 7 * DAY, month: 31 * DAY, year: 366 * DAY};
export const SHIFTS = {day: DAY, week: 7 * DAY};

export const isFigure = (series) => FIGURES.includes(series.quantity);

/** Return how a series is summed up over a step: mean, sum or last. */
export function aggregateOf(series) {
  if (series.kind === "delta") return isFigure(series) ? "mean" : "sum";
  return series.kind === "gauge" ? "mean" : "last";
}

/** Return {text, ms} of the step for a stretch [ms]; ms 0: every reading as it is stored. */
export function stepFor(span, series) {
  if (isFigure(series)) return span <= MOST_FIGURES_MS ? {text: "none", ms: 0} : {text: "1d", ms: DAY};
  const period = (series.period_s || 1) * SECOND;
  if (aggregateOf(series) !== "sum" && span / period <= MOST) return {text: "none", ms: 0};
  const least = aggregateOf(series) === "sum" ? MINUTE : 0;
  const [text, ms] = STEPS.find(([, length]) => length >= least && span / length <= MOST) ?? STEPS.at(-1);
  return {text, ms};
}

/** Return the address of the question: `from` and `to` in ms, `aggregate` only with a step. */
export function question(series, {from, to}, step, aggregate) {
  const asked = new URLSearchParams({series: series.key, from: `${Math.floor(from)}000000`, to: `${Math.ceil(to)}000000`});
  if (step.ms) {
    asked.set("step", step.text);
    asked.set("aggregate", aggregate);
  }
  return `/api/query?${asked}`;
}

/**
 * Return rows [{at, end, value, severity}] of an answer's columns, later by `shift` ms.
 * `figure`: rows are windows as stored. A bucket with some readings that do not count is uncertain; one without any value is bad.
 */
export function rowsOf(columns, shift = 0, figure = false) {
  return columns.time_ns.map((time, i) => {
    const span = columns.span_ns[i] / 1e6;
    const at = time / 1e6 + shift - (figure ? span : 0); // a window as stored is stamped with its end
    const value = columns.value[i];
    const told = columns.bits[i] & 3;
    const severity = value === null || told >= BAD ? BAD : Math.max(told, columns.bad[i] > 0 ? 1 : 0);
    return {at, end: at + span, value, severity, bits: columns.bits[i]};
  });
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

/** Return stretches [{from, to}] of the rows' time in which rows are missing. */
export function gapsOf(rows, stepMs, periodS) {
  const distances = rows.slice(1).map((row, i) => row.at - rows[i].at);
  const usual = Math.max(stepMs, (periodS || 0) * SECOND, median(distances));
  return distances.flatMap((distance, i) => (
    distance > GAP * usual ? [{from: rows[i].at + usual, to: rows[i + 1].at}] : []
  ));
}

/** Return [[time, value]…] to draw: a hole where rows are missing or have no value; steps have both their ends. */
export function curve(rows, gaps, {stepMs = 0, stairs = false} = {}) {
  const points = [];
  let gap = 0;
  for (const row of rows) {
    while (gap < gaps.length && gaps[gap].to <= row.at) {
      points.push([gaps[gap].from, null]);
      gap += 1;
    }
    const middle = row.at + (stairs ? 0 : stepMs / 2);
    points.push([middle, row.value]);
    if (stairs && row.end > row.at) points.push([row.end, row.value]);
  }
  return points;
}

/** Return stretches [{from, to, severity}] that are not good; neighbours of one severity are one. */
export function marksOf(rows, stepMs) {
  const found = [];
  rows.forEach((row, i) => {
    if (!row.severity) return;
    const end = stepMs ? row.at + stepMs : rows[i + 1]?.at ?? row.at;
    const last = found.at(-1);
    if (last && last.severity === row.severity && last.upto === i - 1) {
      last.to = end;
      last.upto = i;
    } else {
      found.push({from: row.at, to: end, severity: row.severity, upto: i});
    }
  });
  return found;
}

/** Return {low, high, mean, sum, count} of what counts; null where nothing does. */
export function figures(rows) {
  const values = rows.flatMap((row) => (row.value === null ? [] : [row.value]));
  if (!values.length) return null;
  let [low, high, sum] = [values[0], values[0], 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    sum += value;
  }
  return {low, high, sum, mean: sum / values.length, count: values.length};
}
