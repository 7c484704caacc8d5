// The list of series in, areas → assets → figures out: what of a plant the page shows, and what its totals add up.

import {WORDS} from "./page_words.js";

// What is read each second, and the order in which a card shows it.
export const LIVE = ["power", "co2e_rate", "temperature", "pressure", "volume_flow", "mass_flow", "ratio", "irradiance"];
const METER_ONLY = ["power_factor", "frequency"];
export const WATCHED = [...LIVE, ...METER_ONLY, "energy_intensity", "completeness", "alert", "gap"];
const AMOUNTS = {energy_kwh: "energy", co2e_kg: "co2e"};

export function unit(text) {
  return WORDS.units[text] ?? text;
}

function sentence(text) {
  const words = text.replaceAll("_", " ").replaceAll("-", " ").replace(/\bo2\b/, "O₂");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function label(series) {
  const point = series.key.split(".")[1];
  if (point === series.quantity || series.quantity === "co2e_rate") return WORDS.quantities[series.quantity] ?? sentence(point);
  return sentence(series.quantity === "temperature" ? point.replace(/_temperature$/, "") : point);
}

// mode: latest = newest value, today = sum since the site's midnight, rate = mean of the last minutes per hour.
function figures(asset) {
  const of = (quantity) => asset.series.filter((s) => s.quantity === quantity && s.kind === "gauge");
  const fig = (series, mode, name, shown) => ({series, mode, label: name, unit: shown ?? unit(series.unit)});
  const wanted = asset.type === "meter" ? [...LIVE, ...METER_ONLY] : LIVE;
  const live = wanted.flatMap((quantity) => of(quantity).map((s) => fig(s, "latest", label(s))));
  const main = (field) => asset.series.find((s) => s.field === field && s.kind === "delta");
  const [energy, carbon] = Object.keys(AMOUNTS).map(main);
  const fuel = [];
  if (energy && !of("power").length) fuel.push(fig(energy, "rate", WORDS.fuelPower, "kW"));
  if (carbon && !of("co2e_rate").length) fuel.push(fig(carbon, "rate", WORDS.fuelCarbon, "kg/h"));
  const product = asset.series.filter((s) => s.quantity === "mass" && s.kind === "delta");
  const today = [energy, carbon, ...product].filter(Boolean).map((s) => fig(s, "today", WORDS.today(WORDS.quantities[s.quantity])));
  const kpis = asset.series.filter((s) => s.quantity === "energy_intensity").map((s) => fig(s, "latest", WORDS.intensity));
  const split = live.findIndex((f) => !["power", "co2e_rate"].includes(f.series.quantity));
  const head = split < 0 ? live.length : split;
  return [...fuel, ...live.slice(0, head), ...today, ...kpis, ...live.slice(head)];
}

function totals(assets) {
  const pick = (test) => assets.flatMap((a) => a.figures.filter(test).slice(0, 1));
  const isQuantity = (mode, quantity) => (f) => f.mode === mode && f.series.quantity === quantity;
  const meters = assets.filter((a) => a.type === "meter");
  // A main meter already counts what stands behind it; without one, everything that is electric is added up.
  const electric = (f) => !meters.length || f.series.asset_type === "meter";
  const isFuel = (f) => f.series.scope === "1" || (f.series.carrier !== "electricity" && f.mode === "rate");
  const power = pick((f) => isQuantity("latest", "power")(f) && electric(f) && f.series.asset_type !== "pv");
  const energy = pick((f) => isQuantity("today", "energy")(f) && electric(f) && f.series.carrier === "electricity");
  const grid = pick((f) => isQuantity("latest", "co2e_rate")(f) && electric(f));
  const rates = [...grid, ...pick((f) => isQuantity("rate", "co2e")(f) && isFuel(f))];
  const carbon = pick((f) => isQuantity("today", "co2e")(f) && (isFuel(f) || electric(f)));
  return {power, rates, energy, carbon};
}

export function plant(series) {
  const assets = new Map();
  for (const one of series.filter((s) => s.asset && s.asset !== "gateway")) {
    const asset = assets.get(one.asset) ?? {name: one.asset, area: "", type: "", series: []};
    asset.area ||= one.area;
    asset.type ||= one.asset_type;
    asset.series.push(one);
    assets.set(one.asset, asset);
  }
  const list = [...assets.values()];
  for (const asset of list) asset.figures = figures(asset);
  const areas = new Map();
  for (const asset of list.filter((a) => a.figures.length)) areas.set(asset.area, [...(areas.get(asset.area) ?? []), asset]);
  const find = (quantity) => series.filter((s) => s.quantity === quantity);
  return {areas, assets: list, totals: totals(list), intensities: find("energy_intensity"), alerts: find("alert")};
}
