// The points that say how an asset runs, and a stretch of time, in; each as a timeline with its shares out.

import {api} from "./api.js";
import {el, show, svg, table} from "./dom.js";
import {pointName, stateName} from "./names.js";
import {question, rowsOf, stepFor} from "./trend_data.js";

const HOLD_MS = 60_000;
const LEAST_MS = 3_600_000; // so much is never asked for reading by reading only
const LONG_MS = 60 * 86_400_000; // from here on days are told, not minutes
const AGAIN_MS = 5_000;
const WIDTH = 1440;
const IDLE = /unload|idle|standby/;
const STATE = {kind: "state"};

/** Return {node, show(stretch), close()}; the stretch is the trend's above it. */
export function runningStates(context, states) {
  let control = new AbortController();
  let shown = {from: 0, to: 0};
  let asked = 0;
  const node = el("div");
  async function look(span) {
    control.abort();
    control = new AbortController();
    asked = performance.now();
    const step = stepFor(Math.max(span.to - span.from, LEAST_MS), STATE);
    const found = await Promise.all(states.map((s) => api.get(question({...STATE, key: s.key}, span, step, "last"), {}, control.signal)));
    show(node, states.map((state, i) => timeline(context, state, runs(rowsOf(found[i].series[0]), span, step.ms), span, step)));
  }
  return {
    node,
    show(stretch) {
      const same = Math.abs((stretch.to - stretch.from) - (shown.to - shown.from)) < 1;
      if (same && stretch.to - shown.to < AGAIN_MS && stretch.to >= shown.to && performance.now() - asked < AGAIN_MS) return;
      shown = stretch;
      look(stretch).catch(() => {});
    },
    close: () => control.abort(),
  };
}

/** Return [{from, to, value}] of one state each; value null where nothing was said. */
export function runs(rows, {from, to}, stepMs) {
  const hold = stepMs || HOLD_MS; // a stored reading holds until the next one, for so long at most
  const found = [];
  const add = (begin, end, value) => {
    const last = found.at(-1);
    if (last && last.value === value && begin - last.to < 1) last.to = end;
    else if (end > begin) found.push({from: begin, to: end, value});
  };
  let upto = from;
  rows.forEach((row, i) => {
    const begin = Math.max(row.at, from);
    if (begin > upto) add(upto, begin, null);
    const next = rows[i + 1]?.at ?? Infinity;
    const end = Math.min(next - row.at < 2 * hold ? next : row.at + hold, to);
    add(begin, end, row.value);
    upto = Math.max(upto, end);
  });
  if (to - upto > hold) add(upto, to, null);
  return found;
}

function timeline({t, format}, state, found, span, step) {
  const kind = (value) => {
    if (value === null) return "none";
    const meaning = state.meaning[String(Math.round(value))] ?? "";
    if (IDLE.test(meaning)) return "idle";
    return Math.round(value) === 0 ? "off" : "on";
  };
  const word = (value) => (value === null ? t("page.assets.states.no_data") : stateName(t, state.meaning[String(Math.round(value))]) || t("page.assets.states.unknown", {n: value}));
  const x = (at) => ((at - span.from) / (span.to - span.from)) * WIDTH;
  const told = (ms) => (span.to - span.from > LONG_MS ? format.day(ms * 1e6) : format.moment(ms * 1e6, span.to * 1e6));
  const [from, to] = [span.from, span.to].map(told);
  const name = pointName(t, state.key.split(".")[1]);
  const bars = found.map((run) => svg("rect", {class: `run-${kind(run.value)}`, x: x(run.from).toFixed(2), y: kind(run.value) === "on" ? 0 : kind(run.value) === "idle" ? 5 : 14, width: Math.max(0.6, x(run.to) - x(run.from)).toFixed(2), height: kind(run.value) === "on" ? 20 : kind(run.value) === "idle" ? 15 : 6}, svg("title", {}, `${word(run.value)}, ${format.minute(run.from * 1e6)}–${format.minute(run.to * 1e6)}`)));
  const values = [...new Set(found.map((run) => run.value))].sort((a, b) => (a ?? -1) - (b ?? -1));
  const lasted = (value) => found.filter((run) => run.value === value).reduce((sum, run) => sum + run.to - run.from, 0);
  const shares = values.map((value) => el("li", {}, el("span", {class: `key run-${kind(value)}`, "aria-hidden": "true"}), word(value), " ",
    el("span", {class: "soft"}, `${format.share(lasted(value) / (span.to - span.from))} · ${format.age(lasted(value) / 1000)}`)));
  const list = () => table(name, ["from", "to", "state", "lasted"].map((id) => ({label: id === "state" ? t("page.assets.column.state") : t(`page.assets.states.${id}`), number: id === "lasted"})),
    found.slice(-200).toReversed().map((run) => [format.moment(run.from * 1e6, span.to * 1e6), format.moment(run.to * 1e6, span.to * 1e6), word(run.value), format.age((run.to - run.from) / 1000)]));
  const content = el("div");
  return el("div", {class: "state-line"},
    svg("svg", {class: "runs", viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", role: "img", "aria-label": t("page.assets.states.label", {name, from, to})}, bars),
    el("div", {class: "ends soft small"}, el("span", {}, from), el("span", {}, step.ms > 60_000 ? t("page.assets.states.sampled", {step: t(`page.assets.step.${step.text}`)}) : null), el("span", {}, to)),
    el("ul", {class: "shares small"}, shares),
    el("details", {class: "as-table", ontoggle: (e) => { if (e.target.open && !content.firstChild) show(content, list()); }}, el("summary", {class: "small"}, t("page.shell.show_table")), content));
}
