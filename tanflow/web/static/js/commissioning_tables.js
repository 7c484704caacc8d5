// What a device said in; its points, the readings of one, its words and its messages as tables out.

import {near} from "./commissioning_match.js";
import {el, table} from "./dom.js";

const OFFSETS = [-1, 0, 1];
const PER_ROW = 10; // words
const ABSURD = 1e7; // no meter shows so much, or so little

const digits = (format, value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(4);
  return new Intl.NumberFormat(format.locale, {maximumSignificantDigits: 8}).format(value);
};

const typeOf = (point) => [point.type, point.bit === null || point.bit === undefined ? null : `.${point.bit}`].filter(Boolean).join("");
const orderOf = (point) => point.order ?? ([point.word_order, point.byte_order].filter(Boolean).join("/"));

/** Return the points with their configured reading; `matches(point)` counts what is near the expected value. */
export function pointsTable({t, format}, found, {chosen, pick, matches, expected}) {
  const mqtt = Boolean(found.messages); // values stand by a path: MQTT, Sparkplug B
  const ids = mqtt ? ["point", "path", "raw", "value", "becomes"] : ["point", "address", "type", "raw", "value", "becomes"];
  const columns = ids.map((id) => ({label: t(`page.gateway.commissioning.${id}`), number: ["value", "becomes"].includes(id) || (id === "raw" && mqtt)}));
  if (expected !== null) columns.push({label: t("page.gateway.commissioning.near"), number: true});
  const rows = found.points.map((point) => {
    const name = el("button", {type: "button", class: "plain link", "data-point": point.name, "aria-pressed": String(point.name === chosen), onclick: () => pick(point.name)}, point.name);
    const value = typeof point.value === "string" ? point.value : digits(format, point.value);
    const fits = expected !== null && near(point.value, expected);
    const shown = el("span", {class: fits ? "near" : null}, value ?? t("page.gateway.commissioning.nan"), el("span", {class: "unit"}, format.unit(point.unit)));
    const becomes = point.canonical === null || point.canonical === undefined ? "" : el("span", {class: "soft"}, digits(format, point.canonical), el("span", {class: "unit"}, format.unit(point.canonical_unit)));
    const where = mqtt ? [el("code", {}, point.path ?? ""), digits(format, point.raw) ?? ""] : [
      el("span", {}, String(point.address), el("span", {class: "soft small"}, ` ${point.function ?? ""}`)),
      el("span", {}, typeOf(point), el("span", {class: "soft small"}, ` ${orderOf(point)}`)), el("code", {}, point.raw_hex ?? ""),
    ];
    return [name, ...where, shown, becomes, ...(expected === null ? [] : [String(matches(point).length || "")])];
  });
  return table(t("page.gateway.commissioning.points"), columns, rows);
}

/** Return every way to read the words at a point's address; of MQTT every number of the message by its path. */
export function readingsTable(context, found, point, expected) {
  const {t, format} = context;
  if (!point.readings?.length) return el("p", {class: "empty"}, t("page.gateway.commissioning.never"));
  const cell = (reading) => readingCell(context, reading, expected);
  if (found.messages) {
    return table(t("page.gateway.commissioning.readings", {name: point.name}), [{label: t("page.gateway.commissioning.path")}, {label: t("page.gateway.commissioning.value"), number: true}],
      point.readings.map((r) => [el("code", {}, r.path), cell(r)]));
  }
  const rows = new Map();
  for (const reading of point.readings) {
    if (reading.bit !== null && reading.bit !== undefined && !reading.configured) continue; // sixteen ones and noughts tell nothing
    const key = `${reading.type} ${reading.order}`;
    if (!rows.has(key)) rows.set(key, {type: typeOf(reading), order: reading.order, at: new Map()});
    rows.get(key).at.set(reading.offset, reading);
  }
  const columns = [{label: t("page.gateway.commissioning.type")}, {label: t("page.gateway.commissioning.order")},
    ...OFFSETS.map((offset) => ({label: offsetName(t, point, offset), number: true}))];
  const body = [...rows.values()].map((row) => [row.type, el("code", {}, row.order), ...OFFSETS.map((offset) => cell(row.at.get(offset)))]);
  return [el("p", {class: "soft small"}, t("page.gateway.commissioning.in_unit", {unit: format.unit(point.unit) || "1"})), table(t("page.gateway.commissioning.readings", {name: point.name}), columns, body)];
}

function offsetName(t, point, offset) {
  const sign = offset > 0 ? `+${offset}` : offset < 0 ? `−${-offset}` : "0";
  return point.address + offset < 0 ? sign : t("page.gateway.commissioning.at_address", {address: point.address + offset, offset: sign});
}

function readingCell({t, format}, reading, expected) {
  if (!reading) return "";
  const fits = expected === null ? null : near(reading.value, expected);
  const power = fits?.power ? ` ×10${fits.power > 0 ? "" : "⁻"}${"⁰¹²³⁴⁵⁶"[Math.abs(fits.power)]}` : "";
  const words = [reading.configured && t("page.gateway.commissioning.configured"), fits && t("page.gateway.commissioning.near")].filter(Boolean).join(", ");
  const size = Math.abs(reading.value ?? Infinity);
  const absurd = !fits && !reading.configured && (size >= ABSURD || (size !== 0 && size < 1 / ABSURD));
  const classes = ["reading", absurd && "soft", reading.configured && "configured", fits && (fits.power ? "near-scaled" : "near")].filter(Boolean).join(" ");
  return el("span", {class: classes, title: words || null}, digits(format, reading.value) ?? t("page.gateway.commissioning.nan"), power,
    words ? el("span", {class: "hidden-text"}, ` ${words}`) : null);
}

/** Return the words of each block by address, those of the chosen point marked. */
export function blocks({t, format}, found, point) {
  if (!found.blocks.length) return el("p", {class: "empty"}, t("page.gateway.commissioning.never"));
  const length = point?.raw_hex ? point.raw_hex.length / 4 : 0;
  const isOf = (block, address) => point && block.function === (point.function ?? block.function) && address >= point.address && address < point.address + length;
  return found.blocks.map((block) => {
    const about = [t("page.gateway.commissioning.unit", {n: block.unit}), String(block.function), t("page.gateway.commissioning.from_to", {from: block.address, to: block.address + block.words.length - 1}), t("page.shell.ago", {age: format.age(block.age_s ?? null)})];
    const rows = [];
    for (let i = 0; i < block.words.length; i += PER_ROW) {
      const words = block.words.slice(i, i + PER_ROW);
      rows.push(el("tr", {}, el("th", {scope: "row"}, String(block.address + i)),
        words.map((word, n) => el("td", {class: isOf(block, block.address + i + n) ? "word of-point" : "word"}, word.replace("0x", "")))));
    }
    const caption = about.join(" · ");
    return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption}, el("table", {class: "words-table"}, el("caption", {class: "small soft"}, caption), el("tbody", {}, rows)));
  });
}

/** Return the nodes of an OPC UA device, which say type, status and value themselves. */
export function opcuaTable({t, format}, points, expected) {
  const ids = ["point", "node", "type", "raw", "status", "value", "becomes"];
  const columns = ids.map((id) => ({label: t(`page.gateway.commissioning.${id}`), number: ["value", "becomes"].includes(id)}));
  const rows = points.map((point) => {
    const fits = expected !== null && near(point.value, expected);
    const bad = point.status && point.status !== "Good";
    return [point.name, el("code", {}, point.node), point.type ?? "", el("code", {}, point.raw ?? ""), el("span", {class: bad ? "tag warning" : "soft"}, point.status ?? "–"),
      el("span", {class: fits ? "near" : null}, digits(format, point.value) ?? t("page.gateway.commissioning.nan"), el("span", {class: "unit"}, format.unit(point.unit))),
      point.canonical === null || point.canonical === undefined ? "" : el("span", {class: "soft"}, digits(format, point.canonical), el("span", {class: "unit"}, format.unit(point.canonical_unit)))];
  });
  return [el("p", {class: "soft small"}, t("page.gateway.commissioning.typed")), table(t("page.gateway.commissioning.points"), columns, rows)];
}

/** Return the last messages of an MQTT device as they came. */
export function messages({t, format}, found) {
  if (!found.messages.length) return el("p", {class: "empty"}, t("page.gateway.commissioning.never"));
  return found.messages.map((message) => el("figure", {class: "message"},
    el("figcaption", {class: "small soft"}, el("code", {}, message.topic), ` · ${t("page.shell.ago", {age: format.age(message.age_s)})}${message.retained ? ` · ${t("page.gateway.commissioning.retained")}` : ""}`),
    el("pre", {tabindex: "0"}, message.payload)));
}
