// A device's last answers in; its points, raw words and every way to read them, near an expected value or not, out.

import {near} from "./commissioning_match.js";
import {blocks, messages, opcuaTable, pointsTable, readingsTable} from "./commissioning_tables.js";
import {comparisons} from "./comparisons.js";
import {el, setText, show} from "./dom.js";
import {address} from "./address.js";

const EVERY_MS = 3_000;

/** Mount the view; → unmount. */
export async function mount(root, context) {
  const {api, t, poll, parameters} = context;
  const {series} = await api.get("/api/series", {quantity: "gap"});
  const devices = [...new Set(series.filter((s) => s.device).map((s) => `${s.asset}.${s.device}`))].sort();
  if (!devices.length) {
    show(root, el("p", {class: "empty"}, t("page.gateway.commissioning.none")));
    return () => {};
  }
  const view = new View(root, context, devices, parameters.get("device"));
  const stop = poll(async (signal) => view.take(await api.get("/api/commissioning", {device: view.device}, signal)), EVERY_MS, (error) => view.failed(error));
  view.again = () => stop.now();
  return stop;
}

// Where the configured reading fits, else where another does, else where one does but for a power of ten.
function likeliest(points, value, matches) {
  const exact = (number) => near(number, value)?.power === 0;
  return points.find((p) => value !== null && exact(p.value)) ?? points.find((p) => matches(p).some((r) => exact(r.value))) ?? points.find((p) => matches(p).length);
}

class View {
  constructor(root, context, devices, asked) {
    this.context = context;
    const {t} = context;
    this.device = devices.includes(asked) ? asked : devices[0];
    this.point = "";
    this.found = null;
    const select = el("select", {onchange: (e) => this.choose(e.target.value)}, devices.map((name) => el("option", {value: name, selected: name === this.device}, name)));
    this.expected = el("input", {type: "text", inputmode: "decimal", id: "expected", autocomplete: "off", placeholder: "230.1", "aria-describedby": "expected-hint", oninput: () => this.draw()});
    this.hold = el("input", {type: "checkbox", id: "hold"});
    this.said = el("p", {class: "small", role: "status"});
    this.points = el("div");
    this.readings = el("section", {class: "card of-readings", "aria-live": "off"});
    this.records = comparisons(context);
    this.words = el("div");
    this.wordsTitle = el("h2", {}, t("page.gateway.commissioning.words"));
    const field = (label, control, hint) => el("label", {class: "field"}, el("span", {class: "label"}, label), control, hint ?? null);
    show(root, el("p", {class: "soft small intro"}, t("page.gateway.commissioning.intro")),
      el("div", {class: "card ask"},
        field(t("page.gateway.commissioning.device"), select),
        field(t("page.gateway.commissioning.expected"), this.expected),
        el("label", {class: "check"}, this.hold, t("page.gateway.commissioning.hold")),
        el("div", {class: "answer"}, el("p", {class: "soft small", id: "expected-hint"}, t("page.gateway.commissioning.expected_hint")), this.said)),
      el("div", {class: "commissioning"},
        el("div", {class: "stack"},
          el("section", {class: "card", "aria-label": t("page.gateway.commissioning.points")}, el("h2", {}, t("page.gateway.commissioning.points")), this.points),
          el("section", {class: "card of-words", "aria-label": t("page.gateway.commissioning.words")}, this.wordsTitle, this.words)),
        this.readings),
      this.records.node);
    this.records.show(this.device);
  }

  choose(device) {
    this.device = device;
    this.point = "";
    this.hold.checked = false;
    history.replaceState(null, "", address("gateway", "commissioning", {device}));
    this.records.show(device);
    this.again();
  }

  failed(error) {
    setText(this.said, this.context.t("page.shell.failed", {why: error.message}));
  }

  take(found) {
    if (found.device !== this.device || (this.hold.checked && this.found?.device === found.device)) return;
    this.found = found;
    this.draw();
  }

  get value() {
    const text = this.expected.value.trim().replace(/[\s']/g, "").replace(",", ".");
    return text && Number.isFinite(Number(text)) ? Number(text) : null;
  }

  draw() {
    const {context, found, value} = this;
    if (!found) return;
    const {t, format} = context;
    const focused = this.points.contains(document.activeElement) ? document.activeElement.dataset.point : null;
    const matches = (point) => (value === null ? [] : (point.readings ?? [point]).filter((r) => near(r.value, value)));
    const point = found.points.find((p) => p.name === this.point) ?? likeliest(found.points, value, matches) ?? found.points[0];
    const pick = (name) => { this.point = name; this.draw(); };
    const isOpc = found.protocol === "opcua";
    show(this.points, isOpc ? opcuaTable(context, found.points, value) : pointsTable(context, found, {chosen: point?.name, pick, matches, expected: value}));
    if (focused) [...this.points.querySelectorAll("button")].find((b) => b.dataset.point === focused)?.focus();
    this.readings.hidden = isOpc;
    this.words.parentElement.hidden = isOpc;
    if (!isOpc) {
      show(this.readings, el("h2", {}, point ? t("page.gateway.commissioning.readings", {name: point.name}) : t("page.gateway.commissioning.never")), point ? readingsTable(context, found, point, value) : null);
      setText(this.wordsTitle, t(`page.gateway.commissioning.${found.messages ? "messages" : "words"}`));
      show(this.words, found.messages ? messages(context, found) : blocks(context, found, point));
    }
    const all = found.points.flatMap(matches);
    const exact = all.filter((reading) => near(reading.value, value).power === 0).length;
    const said = exact ? "matches" : all.length ? "scaled_only" : "no_match";
    setText(this.said, value === null ? "" : t(`page.gateway.commissioning.${said}`, {n: exact || all.length, value: format.number(value)}));
  }
}
