// The dead letters in; how many there are for which reason, and the newest of them with their first bytes, out.

import {el, setText, show, table} from "./dom.js";

const EVERY_MS = 10_000;
const SHOWN = 100;
const PRINTED = 32; // bytes of a letter as text

/** Mount the list; → unmount. */
export async function mount(root, context) {
  const {api, t, poll} = context;
  const content = el("div");
  const status = el("p", {class: "soft", role: "status"}, t("page.shell.loading"));
  show(root, el("section", {class: "card", "aria-label": t("page.gateway.tab.letters")}, el("p", {class: "soft small"}, t("page.gateway.letters.intro")), status, content));
  let shown = "";
  return poll(async (signal) => {
    const found = await api.get("/api/deadletters", {limit: SHOWN}, signal);
    const text = JSON.stringify(found);
    if (text === shown) return;
    shown = text;
    setText(status, found.total ? t("page.gateway.letters.total", {n: found.total, shown: found.letters.length}) : t("page.gateway.letters.none"));
    show(content, found.total ? [reasons(context, found), letters(context, found)] : null);
  }, EVERY_MS, (error) => setText(status, t("page.shell.failed", {why: error.message})));
}

function reasons({t, format}, {totals = []}) {
  if (totals.length < 2) return null;
  const columns = ["component", "reason", "count", "last"].map((id) => ({label: t(`page.gateway.letters.${id}`), number: id === "count"}));
  const rows = totals.map((r) => [r.component, el("span", {class: "words", lang: "en"}, r.reason), String(r.count), format.time(r.last_ns)]);
  return [el("h2", {}, t("page.gateway.letters.by_reason")), table(t("page.gateway.letters.by_reason"), columns, rows), el("h2", {}, t("page.gateway.letters.newest"))];
}

function letters({t, format}, found) {
  const columns = ["at", "component", "source", "reason", "raw"].map((id) => ({label: t(`page.gateway.letters.${id}`)}));
  const rows = found.letters.map((letter) => [
    format.time(letter.at_ns), letter.component, el("code", {}, letter.source), el("span", {class: "words", lang: "en"}, letter.reason), raw(letter.raw_hex ?? ""),
  ]);
  return table(t("page.gateway.tab.letters"), columns, rows);
}

function raw(hex) {
  const bytes = hex.match(/../g) ?? [];
  const text = bytes.map((byte) => parseInt(byte, 16)).map((code) => (code > 31 && code < 127 ? String.fromCharCode(code) : "·")).join("");
  return el("span", {class: "stacked raw"}, el("code", {}, bytes.slice(0, PRINTED).join(" ")), el("code", {class: "soft"}, text.slice(0, PRINTED)));
}
