// The figures of an asset's last windows in; each with its value on the scale of its grades, out.

import {el, show, svg} from "./dom.js";
import {factText, kpiName, qualityOfWords} from "./names.js";

const ROOM = 0.35; // beyond the outer limits, as a share of what lies between them
const WIDTH = 1000; // of the drawing's own units
const WORSE = 4;

/** Return {node, take(kpis)}; `choose(key)` shows a figure's trend. */
export function figures(context, choose) {
  const node = el("ul", {class: "kpis"});
  let shown = "";
  return {
    node,
    take(kpis) {
      const text = JSON.stringify(kpis);
      if (text === shown) return;
      shown = text;
      const focused = node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const behind = kpis.filter((kpi) => isBehind(kpi, kpis));
      const open = node.querySelector("details")?.open ?? false;
      show(node, kpis.filter((kpi) => !behind.includes(kpi)).map((kpi) => item(context, kpi, choose)),
        behind.length ? el("li", {}, el("details", {class: "kpis-more", open}, el("summary", {class: "small"}, context.t("page.assets.kpi.behind", {n: behind.length})),
          el("ul", {class: "kpis"}, behind.map((kpi) => item(context, kpi, choose))))) : null);
      if (focused) [...node.querySelectorAll("button")].find((b) => b.dataset.key === focused)?.focus();
    },
  };
}

// What only serves to judge another figure: the parts of a quotient, and the power something costs.
function isBehind({name}, kpis) {
  return /-(energy|product)$/.test(name) && kpis.some((other) => name.startsWith(`${other.name}-`)) || /-power$/.test(name) && name !== "specific-power" && !name.startsWith("specific-");
}

function item(context, kpi, choose) {
  const {t, format} = context;
  const name = kpiName(t, kpi.name);
  const known = kpi.value !== null && kpi.value !== undefined;
  const button = el("button", {type: "button", class: "plain link", title: kpi.key, "data-key": kpi.key, "aria-label": t("page.assets.show_trend", {name}), onclick: () => choose(kpi.key)}, name);
  const value = el("span", {class: "kpi-value"}, format.number(kpi.value), el("span", {class: "unit"}, known ? format.unit(kpi.unit) : ""));
  const quality = known && kpi.quality ? qualityOfWords(t, kpi.quality) : null;
  const about = [
    known ? t("page.assets.kpi.window", {time: format.minute(kpi.end_ns)}) : t("page.assets.kpi.pending"),
    kpi.completeness === null || kpi.completeness === undefined ? null : t("page.assets.kpi.complete", {share: format.share(kpi.completeness)}),
  ].filter(Boolean).join(" · ");
  if (!known && !kpi.limits) {
    return el("li", {class: "kpi pending"}, el("div", {class: "kpi-line"}, button, el("span", {class: "soft small"}, t("page.assets.kpi.pending")), value));
  }
  const kind = kpi.limits ? gradeOf(kpi) : null;
  const graded = kind !== null && known;
  return el("li", {class: `kpi${graded && kind === WORSE ? " worse" : ""}`},
    el("div", {class: "kpi-line"}, button, graded ? el("span", {class: `grade grade-${kind}`}, gradeWords(t, kind)) : null, value),
    kpi.limits ? band(context, kpi, name, kind) : null,
    el("p", {class: "soft small"}, about, quality?.mark ? el("span", {class: `quality ${quality.severity}`}, ` ${quality.mark} ${quality.words}`) : null),
    outside(context, kpi),
    kpi.limits ? el("p", {class: "soft small standard"}, `${kpi.standard.title} · ${limitsText(context, kpi)} · ${t(`page.assets.kpi.${kpi.higher_is_better ? "higher" : "lower"}_better`)}`) : null,
    kpi.limits ? el("p", {class: "soft small standard"}, t("page.assets.kpi.source", {source: kpi.standard.source})) : null,
    kpi.ungraded ? el("p", {class: "soft small standard"}, ungradedWords(context, kpi.ungraded)) : null);
}

/** Return why a standard sets no limits: the gateway's reason with names of facts and words the reader knows. */
export function ungradedWords(context, {why, standard, stated, facts, listed}) {
  const {t} = context;
  const nameOf = (fact) => t.maybe(`page.assets.fact.${fact}`) ?? fact;
  const sizeOf = (fact, value) => factText(context, fact, `${value}`); // as a plate says it: 75, not 75.0
  const valueOf = ([fact, value]) => {
    const text = sizeOf(fact, value);
    return typeof value === "string" && t.maybe(`page.assets.fact.${fact}`) ? t("page.assets.ungraded.named", {name: nameOf(fact), value: text}) : text;
  };
  return t(`page.assets.ungraded.${why}`, {
    standard, stated: Object.entries(stated).map(valueOf).join(t("page.assets.ungraded.apart")), facts: facts.map(nameOf).join(t("page.assets.comma")),
    listed: facts.flatMap((fact) => listed.map((size) => sizeOf(fact, size))).join(t("page.assets.comma")),
  });
}

// The gateway's own grade, which knows its standard's tolerance; else by the limits alone.
function gradeOf({grade, value, limits, higher_is_better: higher}) {
  if (grade) return grade;
  if (value === null) return null;
  const fits = (limit) => (higher ? value >= limit : value <= limit);
  return [1, 2, 3].find((n) => fits(limits[n])) ?? WORSE;
}

const gradeWords = (t, grade) => (grade === WORSE ? t("page.assets.kpi.beyond") : t("page.assets.kpi.grade", {n: grade}));

function limitsText({t, format}, {limits}) {
  return t("page.assets.kpi.limits", {one: format.number(limits[1]), two: format.number(limits[2]), three: format.number(limits[3])});
}

/** Return {low, high, edges} of a scale that holds the limits and the value, best grade on the left. */
export function scale(limits, value, higher) {
  const edges = [limits[1], limits[2], limits[3]];
  const room = Math.abs(edges[2] - edges[0]) * ROOM || Math.abs(edges[0]) * ROOM || 1;
  const values = value === null ? edges : [...edges, value];
  const [low, high] = [Math.min(...values) - room, Math.max(...values) + room];
  return higher ? {begin: high, end: low, edges} : {begin: low, end: high, edges};
}

function band(context, kpi, name, grade) {
  const {t, format} = context;
  const {begin, end, edges} = scale(kpi.limits, kpi.value, kpi.higher_is_better);
  const x = (value) => ((value - begin) / (end - begin)) * WIDTH;
  const stops = [0, ...edges.map(x), WIDTH];
  const parts = stops.slice(1).map((stop, i) => svg("rect", {class: `band-${i + 1}`, x: stops[i].toFixed(1), y: 0, width: (stop - stops[i]).toFixed(1), height: 10}));
  const words = grade === null ? t("page.assets.kpi.no_grade") : gradeWords(t, grade);
  const label = t("page.assets.kpi.band_label", {name, value: format.number(kpi.value), unit: format.unit(kpi.unit), grade: words, limits: limitsText(context, kpi)});
  const drawing = svg("svg", {viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", role: "img", "aria-label": label}, parts);
  const at = (value) => ({"--at": `${(x(value) / WIDTH * 100).toFixed(2)}%`});
  const names = [1, 2, 3].map((n) => el("span", {class: "limit", ...at(edges[n - 1])}, format.number(edges[n - 1])));
  const mark = kpi.value === null ? null : el("span", {class: `mark-of${grade === WORSE ? " worse" : ""}`, ...at(kpi.value)});
  return el("div", {class: "band"}, drawing, el("div", {"aria-hidden": "true"}, mark, names));
}

function outside({t, format}, {value, sane}) {
  if (!sane || value === null || value === undefined || (value >= sane[0] && value <= sane[1])) return null;
  const words = t("page.assets.kpi.outside", {value: format.number(value), low: format.number(sane[0]), high: format.number(sane[1])});
  return el("p", {class: "notice warning small"}, words);
}
