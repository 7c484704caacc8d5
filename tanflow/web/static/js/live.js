// The points of an asset and the stream's newest values in; a table of readings with quality and age out.

import {el, setText} from "./dom.js";
import {qualityOf, seriesName, stateName} from "./names.js";

const OLD_S = 10; // and older than five readings
const ORDER = ["power", "co2e_rate", "state", "temperature", "pressure", "volume_flow", "mass_flow", "irradiance", "speed", "ratio"];

/** Return {node, take(about), news(latest)}; `choose(key)` shows a point's trend. */
export function readings({t, format}, about, choose) {
  const rows = new Map();
  const body = el("tbody");
  let nowNs = about.now_ns;
  const meanings = new Map(about.states.map((state) => [state.key, state.meaning]));
  const rank = (p) => (ORDER.includes(p.quantity) ? ORDER.indexOf(p.quantity) : ORDER.length + (p.measured === false ? 1 : 0));
  const points = about.points.filter((p) => p.quantity !== "gap").sort((a, b) => rank(a) - rank(b));
  for (const point of points) {
    const row = rowOf(t, format, {...point, meaning: meanings.get(point.key)}, choose);
    rows.set(point.key, row);
    body.append(row.node);
  }
  const head = ["reading", "value", "quality", "age"].map((id) =>
    el("th", {scope: "col", class: id === "value" || id === "age" ? "number" : null}, t(id === "quality" || id === "age" ? `page.assets.column.${id}` : `page.assets.${id}`)));
  const whole = el("table", {class: "readings"}, el("caption", {class: "hidden-text"}, t("page.assets.section.live")),
    el("thead", {}, el("tr", {}, head)), body);
  const node = points.length
    ? el("div", {class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "title-live"}, whole)
    : el("p", {class: "empty"}, t("page.assets.no_points"));

  function news({now_ns: now, latest}) {
    nowNs = now ?? nowNs;
    for (const [key, [time, value, bits]] of Object.entries(latest)) rows.get(key)?.take(time, value, bits);
    for (const row of rows.values()) row.old(nowNs);
  }
  return {
    node,
    news,
    take(fresh) {
      const latest = fresh.points.filter((p) => p.time_ns).map((p) => [p.key, [p.time_ns, p.value, p.bits]]);
      news({now_ns: fresh.now_ns, latest: Object.fromEntries(latest)});
    },
  };
}

function rowOf(t, format, point, choose) {
  const value = el("span");
  const quality = el("td");
  const age = el("td", {class: "number"});
  const name = seriesName(t, point.key, point.quantity);
  const button = el("button", {type: "button", class: "plain link", title: point.key, "aria-label": t("page.assets.show_trend", {name}), onclick: () => choose(point.key)}, name);
  const node = el("tr", {}, el("th", {scope: "row"}, button),
    el("td", {class: "number"}, value, el("span", {class: "unit"}, format.unit(point.unit))), quality, age);
  let newest = 0;
  let shown = null;
  return {
    node,
    take(time, number, bits) {
      if (time < newest) return;
      newest = time;
      setText(value, point.meaning?.[String(number)] ? stateName(t, point.meaning[String(number)]) : format.number(number));
      if (shown === bits) return;
      shown = bits;
      const told = qualityOf(t, bits);
      quality.className = `quality ${told.severity}`;
      setText(quality, told.mark ? `${told.mark} ${told.words}` : told.words);
    },
    old(now) {
      if (!newest) {
        setText(value, format.number(null));
        return;
      }
      const seconds = (now - newest) / 1e9;
      setText(age, format.age(seconds));
      age.classList.toggle("late", point.period_s > 0 && seconds > Math.max(OLD_S, 5 * point.period_s));
    },
  };
}

