// What people did, as the log has it, in; a list, newest first, with older ones on demand, out.

import {el, setText, show, table} from "./dom.js";

const AT_ONCE = 100;
const EVERY_MS = 10_000;

/** Mount the list; → unmount. */
export async function mount(root, context) {
  const {api, t, poll} = context;
  const status = el("p", {class: "soft", role: "status"}, t("page.shell.loading"));
  const content = el("div");
  const older = new Map();
  let newest = [];
  const draw = () => {
    const all = [...newest, ...[...older.values()].filter((act) => !newest.some((other) => other.id === act.id))];
    setText(status, all.length ? "" : t("page.gateway.acts.none"));
    show(content, all.length ? actsTable(context, all) : null);
  };
  const more = el("button", {type: "button", hidden: true, onclick: async () => {
    const last = [...older.keys(), ...newest.map((act) => act.id)].reduce((a, b) => Math.min(a, b));
    const {acts} = await api.get("/api/acts", {before: last, limit: AT_ONCE});
    for (const act of acts) older.set(act.id, act);
    more.hidden = acts.length < AT_ONCE;
    draw();
  }}, t("page.gateway.acts.more"));
  show(root, el("section", {class: "card", "aria-label": t("page.gateway.tab.acts")}, el("p", {class: "soft small"}, t("page.gateway.acts.intro")), status, content, more));
  return poll(async (signal) => {
    const {acts} = await api.get("/api/acts", {limit: AT_ONCE}, signal);
    if (newest.length && JSON.stringify(acts[0]) === JSON.stringify(newest[0])) return;
    for (const act of newest) older.set(act.id, act);
    if (!newest.length) more.hidden = acts.length < AT_ONCE;
    newest = acts;
    draw();
  }, EVERY_MS, (error) => setText(status, t("page.shell.failed", {why: error.message})));
}

function actsTable({t, format}, acts) {
  const columns = ["at", "user", "role", "what", "about"].map((id) => ({label: t(`page.gateway.acts.${id}`)}));
  const rows = acts.map((act) => [
    format.time(act.at_ns), act.user, t.maybe(`page.roles.${act.role}`) ?? act.role,
    el("span", {class: act.what === "refused" ? "tag warning" : null}, t.maybe(`page.gateway.act.${act.what}`) ?? act.what), about(act.about, format),
  ]);
  return table(t("page.gateway.tab.acts"), columns, rows);
}

// Names of fields and their values as they were recorded.
function about(fields, format) {
  const text = (value) => {
    if (Array.isArray(value)) return value.map(text).join(", ");
    if (value === null || typeof value !== "object") return String(value);
    return Object.entries(value).map(([name, part]) => `${name} ${text(part)}`).join(", ");
  };
  const said = ([name, value]) => (name.endsWith("_ns") ? [name.slice(0, -3), format.time(value)] : [name, text(value)]);
  return el("span", {class: "words"}, Object.entries(fields ?? {}).map(said).flatMap(([name, value]) => [el("span", {class: "soft small"}, `${name} `), `${value} `]));
}
