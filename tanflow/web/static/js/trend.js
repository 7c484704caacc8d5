// The series of an asset in; one of them over any stretch of time as a curve to move and zoom, live at its end, out.

import {el, choice, setText, show} from "./dom.js";
import {seriesName} from "./names.js";
import {RANGES, SHIFTS, aggregateOf, figures, gapsOf, isFigure, question, rowsOf, stepFor} from "./trend_data.js";
import {trendChart} from "./trend_chart.js";
import {isLive, movable, moved, zoomed} from "./trend_move.js";
import {trendTable} from "./trend_table.js";

const FIRST = ["power", "temperature", "energy", "kpi"]; // what is shown where nothing was asked for
const SETTLE_MS = 150; // a movement has ended
const SPARE = 0.25; // of what is shown, asked for on either side of it
const AGAIN_MS = 5_000; // least between two looks at a live end that comes in steps
const LONG_MS = 60 * 86_400_000; // from here on days are told, not minutes
const GROUPS = [
  ["measured", (s) => s.measurement === "process" || (s.measurement === "energy" && s.kind !== "delta")],
  ["energy", (s) => s.measurement === "energy" || s.measurement === "emissions"],
  ["figures", (s) => s.measurement === "kpi"],
  ["others", () => true],
];

/**
 * Return {node, choose(key), news(latest), close()}. `meanings`: what the numbers of a state mean, by key;
 * `shown(stretch)` is told what stretch of time is asked for.
 */
export function trend(context, {series, meanings, nowNs}, shown) {
  return new Trend(context, {series, meanings, nowNs}, shown);
}

class Trend {
  constructor(context, {series, meanings, nowNs}, shown) {
    this.context = context;
    this.all = series;
    this.meanings = meanings;
    this.told = shown;
    this.nowMs = nowNs / 1e6;
    this.compare = "";
    this.range = "1h";
    this.live = true;
    this.data = null;
    this.build();
    this.pickSeries("");
    this.toRange("1h");
  }

  get span() { return this.shown.to - this.shown.from; }
  get name() { return seriesName(this.context.t, this.series.key, this.series.quantity); }

  build() {
    const {t} = this.context;
    const label = (id, control) => el("label", {class: "field"}, el("span", {class: "hidden-text"}, t(`page.assets.trend.${id}`)), control);
    this.pick = el("select", {onchange: () => this.choose(this.pick.value)}, this.options());
    this.ranges = el("div");
    const shifts = [["", t("page.assets.trend.compare_none")], ...Object.keys(SHIFTS).map((id) => [id, t(`page.assets.trend.compare_${id}`)])];
    const compare = el("select", {onchange: (e) => { this.compare = e.target.value; this.look(0); }},
      shifts.map(([value, text]) => el("option", {value}, value ? text : t("page.assets.trend.compare_off"))));
    const button = (id, text, act) => el("button", {type: "button", "aria-label": text ? t(`page.assets.trend.${id}`) : null, title: t(`page.assets.trend.${id}`), onclick: act}, text || t("page.assets.trend.live"));
    const now = () => this.nowMs;
    const step = (make) => () => this.to(make(this.shown));
    this.steps = el("div", {class: "choice", role: "group", "aria-label": t("page.assets.trend.range")},
      button("earlier", "‹", step((w) => moved(w, -0.5, now()))), button("later", "›", step((w) => moved(w, 0.5, now()))),
      button("zoom_in", "+", step((w) => zoomed(w, 0.5, now()))), button("zoom_out", "−", step((w) => zoomed(w, 2, now()))),
      button("now", "", () => this.home()));
    this.drawing = el("div");
    this.place = el("div", {class: "trend-place", tabindex: "0", role: "group", "aria-label": t("page.assets.trend.keys"), "aria-describedby": "trend-hint"}, this.drawing);
    this.said = el("p", {class: "small trend-said"});
    this.wrong = el("p", {class: "notice warning small", role: "status", hidden: true});
    this.table = trendTable(this.context);
    this.node = el("div", {class: "trend"},
      el("div", {class: "trend-tools"}, label("series", this.pick), this.ranges, this.steps, label("compare", compare)),
      this.wrong, this.place, this.said, this.table.node, el("p", {class: "soft small", id: "trend-hint"}, t("page.assets.trend.hint")));
    this.chart = trendChart(this.context, this.drawing);
    this.stopMoving = movable(this.place, {plot: () => this.chart.plot(), shown: () => this.shown, now, show: (w) => this.to(w), home: () => this.home()});
  }

  options() {
    const {t} = this.context;
    const left = new Set(this.all);
    return GROUPS.map(([id, fits]) => {
      const mine = [...left].filter(fits);
      mine.forEach((s) => left.delete(s));
      return mine.length ? el("optgroup", {label: t(`page.assets.trend.group_${id}`)}, mine.map((s) => el("option", {value: s.key}, seriesName(t, s.key, s.quantity)))) : null;
    }).filter(Boolean);
  }

  choose(key) {
    if (!key || !this.pickSeries(key)) return;
    this.look(0);
    this.place.scrollIntoView({block: "nearest", behavior: "instant"});
  }

  pickSeries(key) {
    const first = FIRST.map((quantity) => this.all.find((s) => s.quantity === quantity)).find(Boolean);
    this.series = this.all.find((s) => s.key === key) ?? first ?? this.all[0];
    if (!this.series) return false;
    this.pick.value = this.series.key;
    this.data = null;
    return true;
  }

  showRanges() {
    const {t} = this.context;
    const names = Object.keys(RANGES).map((id) => [id, t(`page.assets.trend.range_${id}`)]);
    show(this.ranges, choice(t("page.assets.trend.range"), names, this.range, (id) => this.toRange(id)));
  }

  toRange(id) {
    this.range = id;
    this.live = true;
    this.shown = {from: this.nowMs - RANGES[id], to: this.nowMs};
    this.showRanges();
    this.look(0);
  }

  home() {
    this.live = true;
    this.shown = {from: this.nowMs - this.span, to: this.nowMs};
    this.look(0);
  }

  to(stretch) {
    this.live = isLive(stretch, this.nowMs);
    const {range} = this;
    if (Math.abs(stretch.to - stretch.from - (RANGES[range] ?? 0)) > 1) this.range = "";
    this.shown = stretch;
    if (range !== this.range) this.showRanges();
    this.draw();
    this.look(SETTLE_MS);
  }

  look(after) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), after);
  }

  async ask() {
    if (!this.series) return;
    this.control?.abort();
    const control = this.control = new AbortController();
    const {api, t} = this.context;
    const {series} = this;
    this.told(this.shown);
    this.took = Infinity; // no look at the live end while an answer is awaited
    const step = stepFor(this.span, series);
    const spare = this.span * SPARE;
    const asked = {from: this.shown.from - spare, to: Math.min(this.shown.to + spare, Math.max(this.nowMs, this.shown.to))};
    const get = async (aggregate, shift = 0) => {
      const found = await api.get(question(series, {from: asked.from - shift, to: asked.to - shift}, step, aggregate), {}, control.signal);
      return rowsOf(found.series[0], shift, isFigure(series) && !step.ms);
    };
    const kind = aggregateOf(series);
    try {
      const rows = await get(kind);
      this.took = performance.now();
      this.data = {series, step, kind, rows, gaps: gapsOf(rows, step.ms, series.period_s), low: null, high: null, before: null, meaning: this.meanings.get(series.key)};
      this.draw();
      const band = kind === "mean" && step.ms && series.kind === "gauge";
      const [low, high, before] = await Promise.all([
        band ? get("min") : null, band ? get("max") : null, this.compare ? get(kind, SHIFTS[this.compare]) : null,
      ]);
      Object.assign(this.data, {low, high, before, compare: this.compare});
      this.wrong.hidden = true;
      this.draw();
    } catch (error) {
      if (control.signal.aborted) return;
      this.took = performance.now();
      setText(this.wrong, t("page.shell.failed", {why: error.message}));
      this.wrong.hidden = false;
    }
  }

  // What the stream brings: the live end of the curve.
  news({now_ns: now, latest}) {
    if (now) this.nowMs = now / 1e6;
    if (!this.live || !this.series) return;
    this.shown = {from: this.nowMs - this.span, to: this.nowMs};
    const newest = latest[this.series.key];
    const step = this.data?.step.ms ?? 0;
    if (this.data && !step && !isFigure(this.series) && newest) this.grow(newest);
    else if ((step || isFigure(this.series)) && performance.now() - this.took > Math.max(AGAIN_MS, step / 10)) this.look(0);
    this.draw();
  }

  grow([time, value, bits]) {
    const {rows} = this.data;
    const at = time / 1e6;
    if (rows.length && at <= rows.at(-1).at) return;
    const severity = value === null ? 2 : bits & 3;
    rows.push({at, end: at, value, severity, bits});
    const oldest = this.shown.from - this.span;
    if (rows[0].at < oldest) rows.splice(0, rows.findIndex((row) => row.at >= oldest));
    this.data.gaps = gapsOf(rows, 0, this.series.period_s);
  }

  draw() {
    if (!this.data || this.data.series !== this.series) return;
    const {from, to} = this.shown;
    const begins = isFigure(this.series) ? "end" : "at"; // a window that reaches into the stretch is shown, and counts
    const inside = this.data.rows.filter((row) => row[begins] >= from && row.at <= to);
    const gaps = this.data.gaps.filter((gap) => gap.to > from && gap.from < to);
    const sums = figures(inside);
    const told = this.tell(sums, gaps.length);
    this.chart.draw({...this.data, shown: this.shown, name: this.name, label: told});
    this.table.take({...this.data, rows: inside, name: this.name});
  }

  tell(sums, gaps) {
    const {t, format} = this.context;
    const {kind, step} = this.data;
    const word = !step.ms ? t("page.assets.trend.raw") : t(`page.assets.trend.${kind}`, {step: t.maybe(`page.assets.step.${step.text}`) ?? step.text});
    const long = this.span > LONG_MS;
    const [from, to] = [this.shown.from, this.shown.to].map((ms) => (long ? format.day(ms * 1e6) : format.moment(ms * 1e6, this.nowMs * 1e6)));
    if (!sums) {
      show(this.said, t("page.assets.trend.nothing"), " ", el("span", {class: "soft"}, `${from} – ${to}`));
      return t("page.assets.trend.nothing");
    }
    const unit = this.series.unit;
    const pair = (id, text) => el("span", {class: "pair"}, el("span", {class: "soft"}, t(`page.assets.trend.${id}`)), " ", text);
    const last = kind === "sum" ? pair("total", format.quantity(sums.sum, unit)) : pair("mean_word", format.quantity(sums.mean, unit));
    show(this.said, pair("least", format.quantity(sums.low, unit)), pair("greatest", format.quantity(sums.high, unit)), last,
      pair("gaps", String(gaps)), el("span", {class: "soft"}, `${from} – ${to} · ${word}`));
    return t("page.assets.trend.summary", {name: this.name, from, to, low: format.number(sums.low), high: format.number(sums.high), mean: format.number(sums.mean), unit: format.unit(unit), gaps});
  }

  close() {
    clearTimeout(this.timer);
    this.control?.abort();
    this.stopMoving();
    this.chart.close();
  }
}
