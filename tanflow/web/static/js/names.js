// Names the gateway gives things (types, points, quantities, bits of quality) in; what the reader calls them, out.

const REASONS = [
  "range", "stale", "comm", "reset", "rollover", "swap", "late", "clock", "quantity-estimated", "profile-estimated",
  "integrated", "factor-fallback", "substituted", "manual",
]; // from bit 2 on
const SEVERITIES = ["good", "uncertain", "bad", "bad"];
export const TROUBLE = {degraded: "warning", stale: "warning", down: "critical"}; // state of an asset → how grave
const MARKS = {uncertain: "≈", bad: "✕"};
// Quantities with a point of their own name; what follows from a point is told by both.
const FOLLOWS = ["co2e", "co2e_rate", "energy", "volume", "mass", "reactive_energy", "apparent_energy", "gap"];

const own = (kind) => (t, name) => (name ? t.maybe(`page.assets.${kind}.${name}`) ?? name : "");

export const typeName = own("type");
export const carrierName = own("carrier");
const quantityName = own("quantity");
export const methodName = own("method");
export const stateName = (t, name) => (name ? t.maybe(`page.assets.state_name.${name.replaceAll(" ", "_")}`) ?? name : "");
/** Return how an asset runs: what its state means, else the number it shows. */
export const runsAs = (t, running) => stateName(t, running.meaning) || t("page.assets.states.unknown", {n: running.value});

/** Return a name of a point, `voltage_l1_n`, in words; the name itself where one of its parts is no known word. */
export function pointName(t, name) {
  const whole = t.maybe(`page.assets.point.${name}`);
  if (whole) return whole;
  const parts = name.split(/[_-]/).map((part) => t.maybe(`page.assets.token.${part}`) ?? (/^\d+$/.test(part) ? part : null));
  if (parts.includes(null)) return name;
  const joined = parts.join(t.language.startsWith("zh") ? "" : " ").replace(/(L\d) ?N$/, "$1-N");
  return joined.charAt(0).toUpperCase() + joined.slice(1);
}

/** Return what a series `asset.point.quantity` is called among those of its asset. */
export function seriesName(t, key, quantity) {
  const point = key.split(".").at(-2);
  if (quantity === "kpi" || quantity === "energy_intensity") return kpiName(t, point);
  if (quantity === `${point}_index`) return quantityName(t, quantity);
  const name = pointName(t, point);
  if (quantity === "grade" || quantity === "completeness") return `${kpiName(t, point)}, ${quantityName(t, quantity).toLowerCase()}`;
  return FOLLOWS.includes(quantity) && !point.endsWith(quantity) ? `${quantityName(t, quantity)} (${name})` : name;
}

export const kpiName = (t, name) => t.maybe(`page.assets.kpi_name.${name}`) ?? pointName(t, name);

const FACT_UNITS = {
  kw: "kW", mpa: "MPa", bar: "bar", m3_min: "m³/min", celsius: "°C", kwh: "kWh", kwh_t: "kWh/t", t_h: "t/h", kj_kg: "kJ/kg", m2: "m²", k: "K", pct: "%",
}; // by the end of a fact's name
const FACT_UNIT = new RegExp(`_(${Object.keys(FACT_UNITS).join("|")})$`);

/** Return what a machine states of itself, with its unit. */
export function factText({t, format}, name, value) {
  const [, unit = ""] = FACT_UNIT.exec(name) ?? [];
  const shown = typeof value === "number" ? format.number(value) : t.maybe(`page.assets.fact_value.${value}`) ?? value;
  return unit ? `${shown} ${FACT_UNITS[unit]}` : shown;
}

/** Return {severity, mark, words} of bits of quality. */
export function qualityOf(t, bits) {
  const severity = SEVERITIES[(bits ?? 0) & 3];
  const reasons = REASONS.filter((_, i) => (bits ?? 0) & (1 << (i + 2)));
  return told(t, severity, reasons);
}

/** Return the same of the words the gateway has for it: `uncertain (late, clock)`. */
export function qualityOfWords(t, text) {
  const [severity, reasons = ""] = (text ?? "good").split(/ ?\(/);
  return told(t, severity, reasons.replace(")", "").split(", ").filter(Boolean));
}

function told(t, severity, reasons) {
  const words = reasons.map((reason) => t.maybe(`page.assets.reason.${reason}`) ?? reason);
  const list = words.length ? t("page.assets.quality_with", {quality: t(`quality.${severity}`), reasons: words.join(t("page.assets.comma"))}) : "";
  return {severity, mark: MARKS[severity] ?? "", words: list || t(`quality.${severity}`)};
}

/** Return the assets of streams `asset.carrier`, each once. */
export const placesOf = (streams) => [...new Set(streams.map((stream) => stream.split(".")[0]))].join(", ");
