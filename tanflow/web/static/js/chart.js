// Options in, a drawing out: the one place that knows Apache ECharts.

import {inks, onTheme} from "./theme.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
let loading = null;

// The library is large: it is fetched when the first chart is wanted, after the page's own words and numbers.
function library() {
  loading ??= import("../vendor/echarts.min.js").then(() => globalThis.echarts);
  return loading;
}

// chart(node, label, build, {click}) → {draw, dispose}; build(ink, style) → ECharts options, called again when the
// theme changes. ink("text") is a colour of the style sheet; style has font sizes and ready axes.
export function chart(node, label, build, on = {}) {
  node.classList.add("chart");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  let drawing = null;
  let gone = false;
  let wanted = false;
  const draw = () => {
    if (drawing) drawing.setOption(finished(build, label), {notMerge: true});
    else if (!wanted) library().then(begin);
    wanted = true;
  };
  const begin = (echarts) => {
    if (gone) return;
    drawing = echarts.init(node, null, {renderer: "canvas", locale: document.documentElement.lang.startsWith("zh") ? "ZH" : "EN"});
    for (const [event, then] of Object.entries(on)) drawing.on(event, then);
    draw();
  };
  const sized = new ResizeObserver(() => drawing?.resize());
  sized.observe(node);
  const forget = onTheme(() => wanted && draw());
  return {
    draw,
    dispose() {
      gone = true;
      forget();
      sized.disconnect();
      drawing?.dispose();
    },
  };
}

function finished(build, label) {
  const ink = inks();
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const style = styleOf(ink, rem);
  const options = build(ink, style);
  return {
    animation: false,
    textStyle: {fontFamily: getComputedStyle(document.body).fontFamily, fontSize: style.small},
    aria: {enabled: true, label: {description: label}},
    useUTC: true, // times come as the site's clock, see format.wall
    ...options,
    stateAnimation: still.matches ? {duration: 0} : undefined,
    tooltip: options.tooltip && {...style.tooltip, ...options.tooltip},
  };
}

// What all charts share; sizes in px, from the page's own type.
function styleOf(ink, rem) {
  const small = Math.round(rem * 0.82);
  const label = {color: ink("soft"), fontSize: small};
  const line = {lineStyle: {color: ink("line")}};
  const zh = document.documentElement.lang.startsWith("zh");
  const clock = {hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}", millisecond: "{HH}:{mm}:{ss}"};
  const dates = zh ? {year: "{yyyy}年", month: "{M}月", day: "{M}月{d}日"} : {year: "{yyyy}", month: "{MMM}", day: "{d} {MMM}"};
  return {
    rem, small,
    solid: "roundRect",
    dashed: "path://M0 0h5v2H0zM7 0h5v2H7zM14 0h5v2h-5z",
    line: (width) => (width * rem) / 14,
    tooltip: {
      renderMode: "richText", // the default builds markup, which the page's policy forbids
      confine: true, transitionDuration: 0,
      backgroundColor: ink("raised"), borderColor: ink("strong-line"), borderWidth: 1,
      textStyle: {color: ink("text"), fontSize: small},
      axisPointer: {lineStyle: {color: ink("strong-line")}},
    },
    timeAxis: (more = {}) => ({
      type: "time", axisLabel: {...label, hideOverlap: true, formatter: {...dates, ...clock}}, axisLine: line, axisTick: line, splitLine: {show: false}, ...more,
    }),
    legend: (names, more = {}) => ({
      itemHeight: rem * 0.2, itemWidth: rem * 1.2, itemGap: rem, textStyle: {color: ink("soft"), fontSize: small}, data: names, ...more,
    }),
    valueAxis: (unit, more = {}) => ({
      type: "value", name: unit, nameTextStyle: {...label, align: "right"}, nameGap: rem * 0.6, axisLabel: label, splitLine: line,
      splitNumber: 4, ...more,
    }),
    grid: (more = {}) => ({left: rem * 3.2, right: rem * 0.8, top: rem * 1.7, bottom: rem * 1.6, ...more}),
    zoom: (more = {}) => [
      {type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, ...more},
      {type: "slider", height: rem * 1.2, bottom: rem * 0.3, borderColor: ink("line"), textStyle: label, ...more},
    ],
  };
}
