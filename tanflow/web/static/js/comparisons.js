// The points of a device in; which of them were compared with their display, and a form to compare one, out.

import {el, setText, show, table} from "./dom.js";

const FIELDS = ["serial", "ct", "pt", "note"];

/** Return {node, show(device)}: the records of a device, and where one may, the form. */
export function comparisons(context) {
  const {t, api, can, me} = context;
  const words = (key, values) => t(`page.gateway.commissioning.${key}`, values);
  const said = el("p", {class: "small", role: "status"});
  const summary = el("p", {class: "soft small"});
  const list = el("div");
  const form = can("commission") ? new Form(context, words, said, () => refresh()) : null;
  let current = "";
  const node = el("section", {class: "card of-records", "aria-label": words("records")}, el("h2", {}, words("records")), summary, form?.node ?? null, said, list);

  async function refresh() {
    const device = current;
    const found = await api.get("/api/commissioning/records", {device});
    if (device !== current) return;
    setText(summary, found.open ? words("open", {n: found.open, of: found.points.length}) : words("all_compared"));
    form?.choices(found.points.map((p) => p.point), me.users ? me.user : "");
    show(list, recordsTable(context, words, found.points));
  }

  return {
    node,
    show(device) {
      if (device === current) return;
      current = device;
      setText(said, "");
      refresh().catch((error) => setText(said, t("page.shell.failed", {why: error.message})));
    },
  };
}

class Form {
  constructor({t, api}, words, said, done) {
    const field = (name, control, hint) => el("label", {class: "field"}, el("span", {class: "label"}, words(name)), control, hint ?? null);
    const text = (name, more = {}) => el("input", {type: "text", name, autocomplete: "off", maxlength: "100", ...more});
    this.point = el("select", {name: "point"});
    this.by = text("by", {required: true});
    this.shown = text("shown", {required: true, inputmode: "decimal", "aria-describedby": "shown-hint"});
    this.others = Object.fromEntries(FIELDS.map((name) => [name, text(name)]));
    this.photo = el("input", {type: "file", name: "photo", accept: "image/*"});
    const send = el("button", {class: "main"}, words("record"));
    const submit = async (event) => {
      event.preventDefault();
      send.disabled = true;
      try {
        const {record, notes} = await api.post("/api/commissioning/records", await this.given());
        const key = record.agrees ? "recorded" : "recorded_differs";
        setText(said, [words(key, {shown: `${record.shown} ${record.unit}`, read: String(Number(record.read.toPrecision(10)))}), ...notes].join(" "));
        this.shown.value = "";
        await done();
      } catch (error) {
        setText(said, t("page.shell.failed", {why: error.message}));
      } finally {
        send.disabled = false;
      }
    };
    this.node = el("form", {class: "ask", onsubmit: submit},
      field("point", this.point), field("shown", this.shown), field("by", this.by),
      ...FIELDS.map((name) => field(name, this.others[name])), crypto.subtle ? field("photo", this.photo) : null, send, // only a page served by TLS or from here may compute a hash
     
      el("p", {class: "soft small", id: "shown-hint"}, words("shown_hint")));
  }

  choices(points, user) {
    const chosen = this.point.value;
    show(this.point, points.map((name) => el("option", {value: name, selected: name === chosen}, name)));
    if (!this.by.value && user) this.by.value = user;
  }

  async given() {
    const number = this.shown.value.trim().replace(/[\s']/g, "").replace(",", ".");
    const others = Object.fromEntries(FIELDS.map((name) => [name, this.others[name].value.trim()]));
    return {point: this.point.value, shown: number, by: this.by.value.trim(), photo: await sha256(this.photo.files[0]), ...others};
  }
}

// The picture stays where it is: only what proves it unchanged is kept.
async function sha256(file) {
  if (!file) return "";
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function recordsTable({format}, words, points) {
  const columns = ["point", "state", "display", "read", "serial", "by", "on"].map((key) => ({label: words(key), number: ["display", "read"].includes(key)}));
  const rows = points.map(({point, state, record}) => {
    const tag = el("span", {class: state === "in order" ? "soft" : state === "missing" ? "" : "tag warning"}, words(`compared_${state.replace(" ", "_")}`));
    if (!record) return [point, tag, "", "", "", "", ""];
    const when = format.time(record.at_ns);
    return [point, tag, `${record.shown} ${format.unit(record.unit)}`, String(Number(record.read.toPrecision(8))), record.serial, record.by, when];
  });
  return table(words("records"), columns, rows);
}
