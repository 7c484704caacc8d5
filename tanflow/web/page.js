// The API each second in, the page out. Data only ever becomes text, never markup.

import {api} from "./page_api.js";
import {WATCHED, plant, unit} from "./page_plant.js";
import {age, el, number, setText} from "./page_text.js";
import {draw} from "./page_trend.js";
import {WORDS} from "./page_words.js";

const EVERY_MS = 1000;
const LOOK_BACK_EVERY = 10; // rounds between two looks at the history
const KEYS_AT_ONCE = 50;
const STEPS = {"15min": ["none", 30_000], "1h": ["1min", 100_000], "24h": ["15min", 1_500_000]};
const OLD_S = 10; // and older than five readings

const at = (id) => document.getElementById(id);
const page = {
  plant: null, revision: 0, zone: "UTC", cards: [], rows: [], sums: new Map(),
  chosen: null, range: "15min", lostSince: null, refusal: "", round: 0,
};

function clock(time) {
  return new Date(time).toLocaleString("en-GB", {timeZone: page.zone, dateStyle: "medium", timeStyle: "medium"});
}

function hour(time) {
  return new Date(time).toLocaleTimeString("en-GB", {timeZone: page.zone, hour: "2-digit", minute: "2-digit"});
}

// ── sums ────────────────────────────────────────────────────────────────────────────────────────

async function sums(series, parameters, key) {
  for (let begin = 0; begin < series.length; begin += KEYS_AT_ONCE) {
    const keys = series.slice(begin, begin + KEYS_AT_ONCE).map((s) => s.key).join(",");
    const found = await api(`/api/query?series=${encodeURIComponent(keys)}&${parameters}`);
    for (const columns of found.series) page.sums.set(`${key} ${columns.key}`, columns);
  }
}

const add = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);

async function readAmounts() {
  const of = (mode) => [...new Set(page.plant.assets.flatMap((a) => a.figures.filter((f) => f.mode === mode).map((f) => f.series)))];
  await sums(of("today"), "from=today&step=15min&aggregate=sum", "today");
  await sums(of("rate"), "from=-2min", "rate");
}

// ── values ──────────────────────────────────────────────────────────────────────────────────────

function reading(figure, latest) {
  if (figure.mode === "latest") return latest[figure.series.key] ?? {value: null};
  const columns = page.sums.get(`${figure.mode} ${figure.series.key}`);
  if (!columns || !columns.value.length) return {value: null};
  if (figure.mode === "today") return {value: add(columns.value)};
  const hours = add(columns.span_ns) / 3.6e12;
  return {value: hours > 0 ? add(columns.value) / hours : null};
}

function quality(bits) {
  if (!bits || !(bits & 3)) return ["", ""];
  return bits & 2 ? ["mark bad", "✕"] : ["mark warn", "≈"];
}

function showRow(row, latest) {
  const {figure, node, value, mark, old} = row;
  const found = reading(figure, latest);
  setText(value, number(found.value));
  const [name, sign] = quality(found.bits);
  mark.className = name;
  mark.title = found.quality ?? "";
  setText(mark, sign);
  setText(old, found.age_s === undefined ? "" : age(found.age_s));
  node.classList.toggle("stale", found.age_s > Math.max(OLD_S, 5 * figure.series.period_s) && figure.series.period_s > 0);
}

function total(figures, latest) {
  const values = figures.map((f) => reading(f, latest).value);
  return values.length && values.every((v) => v !== null) ? add(values) : null;
}

function showTotals(latest) {
  const {power, rates, energy, carbon} = page.plant.totals;
  const names = (figures) => [...new Set(figures.map((f) => f.series.asset))];
  const fuels = rates.filter((f) => f.mode === "rate");
  const grid = rates.filter((f) => f.mode !== "rate");
  const boxes = [
    [WORDS.powerNow, total(power, latest), "kW", WORDS.sumOf(names(power))],
    [WORDS.carbonNow, total(rates, latest), "kg/h", WORDS.withFuel(names(grid), fuels)],
    [WORDS.energyToday, total(energy, latest), "kWh", WORDS.sumOf(names(energy))],
    [WORDS.carbonToday, total(carbon, latest), "kg", WORDS.withFuel(names(grid), fuels)],
  ];
  const shown = boxes.filter((box) => box[3]).map(([name, value, of, note]) => totalBox(name, number(value), of, note));
  at("totals").replaceChildren(...shown, ...page.plant.intensities.map((s) => intensityBox(s, latest)));
}

function totalBox(name, value, of, note, extra = []) {
  const figure = el("dd", "figure", value, el("span", "unit", of));
  return el("div", "", null, el("dt", "", name), figure, el("dd", "note", note, ...extra));
}

function intensityBox(series, latest) {
  const found = latest[series.key];
  const share = latest[series.key.replace(/energy_intensity$/, "completeness")];
  const note = share ? WORDS.complete(hour(share.time), Math.round(share.value * 100)) : WORDS.noIntensity;
  const box = totalBox(`${WORDS.intensity}, ${series.asset}`, number(found?.value), unit(series.unit), note);
  for (const rule of page.plant.alerts.filter((a) => a.alert.window === series.window)) {
    const state = Math.round(latest[rule.key]?.value ?? 0);
    const name = ["pill ok", "pill warn", "pill bad"][state];
    box.classList.toggle("firing", state === 2);
    const words = el("span", name, WORDS.alert[state]);
    box.append(el("dd", "note", "", words, ` ${WORDS.limit(number(rule.alert.above))}`));
  }
  return box;
}

// A device is silent while its last word is why it has no values.
function isSilent(gap, asset, latest) {
  const since = latest[gap.key]?.value > 0 ? latest[gap.key].time_ns : Infinity;
  return since < Infinity && asset.series.every((s) => s === gap || s.device !== gap.device || !(latest[s.key]?.time_ns > since));
}

function showSilent(latest) {
  for (const {asset, node, cause} of page.cards) {
    const gaps = asset.series.filter((s) => s.quantity === "gap" && isSilent(s, asset, latest));
    const words = gaps.map((s) => `${s.device}: ${WORDS.gaps[latest[s.key].value] ?? WORDS.noData}`);
    node.classList.toggle("silent", words.length > 0);
    setText(cause, words.join(", "));
  }
}

// ── building ────────────────────────────────────────────────────────────────────────────────────

function rowOf(figure) {
  const value = el("span", "", "–");
  const mark = el("span");
  const old = el("span", "age");
  const shown = el("span", "value", null, value, el("span", "unit", figure.unit), mark);
  const button = el("button", "", null, el("span", "", figure.label), shown, old);
  button.type = "button";
  button.onclick = () => choose(figure);
  const leads = figure.series.quantity === "power" || (figure.mode === "rate" && figure.series.quantity === "energy");
  const node = el("li", leads ? "lead" : "", null, button);
  return {figure, node, button, value, mark, old};
}

function cardOf(asset) {
  const rows = asset.figures.map(rowOf);
  const cause = el("span", "cause");
  const type = WORDS.types[asset.type] ?? asset.type;
  const head = el("header", "", null, el("h3", "", asset.name), el("span", "type", type), cause);
  const list = el("ul", "rows", null, ...rows.map((row) => row.node));
  return {asset, rows, cause, node: el("article", "", null, head, list)};
}

function build(series) {
  page.plant = plant(series);
  page.cards = [];
  const sections = [...page.plant.areas].map(([area, assets]) => {
    const cards = assets.map(cardOf);
    page.cards.push(...cards);
    return el("div", "", null, el("h2", "", area), el("div", "cards", null, ...cards.map((c) => c.node)));
  });
  page.rows = page.cards.flatMap((card) => card.rows);
  at("areas").replaceChildren(...sections);
  const first = page.plant.totals.power[0] ?? page.rows[0]?.figure;
  if (first) choose(first);
}

function buildOnce() {
  setText(at("gateway-title"), WORDS.gateway);
  setText(at("ask-title"), WORDS.askTitle);
  setText(at("token-label"), WORDS.token);
  setText(at("enter"), WORDS.enter);
  at("columns").replaceChildren(...WORDS.columns.map((name, i) => {
    const head = el("th", i >= 2 && i <= 7 ? "number" : "", name);
    head.scope = "col";
    return head;
  }));
  at("ranges").replaceChildren(...WORDS.ranges.map(([range, name]) => {
    const button = el("button", "", name);
    button.onclick = () => page.chosen && choose(page.chosen, range);
    button.dataset.range = range;
    return button;
  }));
}

// ── trend ───────────────────────────────────────────────────────────────────────────────────────

function choose(figure, range = page.range) {
  page.chosen = figure;
  page.range = range;
  for (const row of page.rows) row.button.setAttribute("aria-pressed", String(row.figure === figure));
  for (const button of at("ranges").children) button.setAttribute("aria-pressed", String(button.dataset.range === range));
  const words = `${figure.series.asset} · ${figure.label}`;
  setText(at("trend-title"), WORDS.trendOf(words, trendUnit(figure)));
  readTrend().catch(told);
}

// An amount is drawn as what it is per hour, so that its line does not depend on the step.
const isAmount = (figure) => figure.series.kind === "delta" && figure.series.measurement !== "kpi";
const trendUnit = (figure) => (!isAmount(figure) ? figure.unit : figure.series.unit === "kWh" ? "kW" : `${unit(figure.series.unit)}/h`);

async function readTrend() {
  const {chosen, range} = page;
  if (!chosen) return;
  let [step, gapMs] = STEPS[range];
  if (isAmount(chosen) && step === "none") [step, gapMs] = ["1min", 100_000];
  const form = step === "none" ? "" : `&step=${step}&aggregate=${isAmount(chosen) ? "sum" : "mean"}`;
  const found = await api(`/api/query?series=${encodeURIComponent(chosen.series.key)}&from=-${range}${form}`);
  if (chosen !== page.chosen || range !== page.range) return;
  const [from, to] = [found.from_ns / 1e6, found.to_ns / 1e6];
  const [columns] = found.series;
  const scale = isAmount(chosen) ? 3.6e12 / found.step_ns : 1;
  const points = columns.value.map((value, i) => ({
    time: (columns.time_ns[i] + columns.span_ns[i] / 2) / 1e6,
    value: value === null ? null : value * scale,
  }));
  // The first and last bucket are cut by the range.
  const inside = points.filter((p) => p.time >= from && p.time <= to).slice(0, isAmount(chosen) ? -1 : undefined);
  gapMs = chosen.series.measurement === "kpi" ? Infinity : Math.max(gapMs, 3000 * chosen.series.period_s);
  const box = at("chart");
  const label = (low, high) => WORDS.chart(chosen.label, number(low), number(high), trendUnit(chosen));
  const size = [Math.max(240, box.clientWidth), Math.max(100, box.clientHeight)];
  const svg = draw(inside, {from, to, gapMs, size, zone: page.zone, label});
  box.replaceChildren(svg ?? el("p", "empty", WORDS.noTrend));
}

// ── health ──────────────────────────────────────────────────────────────────────────────────────

const STATE_CLASS = {
  ok: "pill ok", running: "pill ok", degraded: "pill warn", starting: "pill warn", down: "pill bad", stopped: "pill bad",
};

function showHealth(health) {
  page.zone = health.site.zone;
  document.title = `${health.site.name} · tanflow`;
  setText(at("site"), health.site.name);
  at("state").className = STATE_CLASS[health.state];
  setText(at("state"), WORDS.states[health.state]);
  setText(at("clock"), `${clock(health.time)} · ${health.site.zone}`);
  const reasons = health.reasons.map((reason) => el("li", "", reason));
  at("reasons").hidden = !reasons.length;
  at("reasons").className = `notice ${health.state === "down" ? "bad" : "warn"}`;
  at("reasons").replaceChildren(...reasons);
  setText(at("gateway"), WORDS.about(health));
  at("components").replaceChildren(...Object.entries(health.components).map(componentRow));
}

function componentRow([name, c]) {
  const count = (n) => n.toLocaleString("en");
  const links = c.links.known ? `${c.links.known - c.links.wrong} / ${c.links.known}` : "";
  const rows = [c.received, c.committed + c.delivered, c.backlog].map(count);
  const numbers = [...rows, `${c.lag_s.toFixed(1)} s`, count(c.restarts), links];
  const head = el("th", "", name);
  head.scope = "row";
  const state = el("td", "", null, el("span", STATE_CLASS[c.state], WORDS.componentStates[c.state]));
  const wrong = Object.entries(c.links.what).map(([link, what]) => `${link}: ${what}`).join("; ") || c.last_error;
  const cells = numbers.map((n) => el("td", /^0($|\.0 )/.test(n) ? "number zero" : "number", n));
  return el("tr", "", null, head, state, ...cells, el("td", "words", wrong));
}

// ── the round ───────────────────────────────────────────────────────────────────────────────────

function told(error) {
  at("lost").hidden = false;
  if (error.told) {
    setText(at("lost"), WORDS.refused(error.message));
    return;
  }
  page.lostSince ??= new Date();
  setText(at("lost"), WORDS.lost(page.lostSince.toLocaleTimeString("en-GB")));
  document.body.classList.add("lost");
  at("state").className = "pill bad";
  setText(at("state"), WORDS.states.lost);
}

function connected() {
  page.lostSince = null;
  document.body.classList.remove("lost");
  at("lost").hidden = !page.refusal;
  setText(at("lost"), page.refusal && WORDS.refused(page.refusal));
}

// Sums and trend; live values go on when the history has to refuse.
async function lookBack() {
  try {
    await Promise.all([readAmounts(), page.round ? readTrend() : null]);
    page.refusal = "";
  } catch (error) {
    if (!error.told) throw error;
    page.refusal = error.message;
  }
}

async function round() {
  const health = await api("/api/health");
  showHealth(health);
  if (page.revision !== health.revision) {
    build((await api("/api/series")).series);
    page.revision = health.revision;
    page.round = 0;
  }
  const {latest} = await api(`/api/latest?quantity=${WATCHED.join(",")}`);
  if (page.round % LOOK_BACK_EVERY === 0) await lookBack();
  for (const row of page.rows) showRow(row, latest);
  showTotals(latest);
  showSilent(latest);
  page.round += 1;
  connected();
}

async function run() {
  buildOnce();
  for (;;) {
    await round().catch(told);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

run();
