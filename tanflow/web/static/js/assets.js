// All assets by area in; a tree with what each takes and emits now, to search and to walk by keys, out.

import {api} from "./api.js";
import {mount as mountAsset} from "./asset.js";
import {el, setText, SEVERITIES, show, sign} from "./dom.js";
import {carrierName, qualityOfWords, runsAs, TROUBLE, typeName} from "./names.js";
import {poll} from "./poll.js";
import {address, go} from "./address.js";

const EVERY_MS = 2_000;
const COLUMNS = ["asset", "type", "power", "co2", "state", "quality", "age", "alerts"];
const NUMBERS = ["power", "co2", "age"];
const closed = new Set(); // kept from one visit to the next

export function mount(root, context) {
  if (context.name) return mountAsset(root, context);
  const tree = new Tree(root, context);
  const stop = poll(async (signal) => tree.take(await api.get("/api/assets", {}, signal)), EVERY_MS, (error) => tree.failed(error));
  return stop;
}

class Tree {
  constructor(root, {t, format}) {
    this.t = t;
    this.format = format;
    this.rows = [];
    this.shape = "";
    this.found = el("p", {class: "soft small", role: "status"});
    this.search = el("input", {type: "search", id: "asset-search", placeholder: t("page.assets.search_hint"), autocomplete: "off", oninput: () => this.filter()});
    this.body = el("tbody");
    const head = COLUMNS.map((name) => el("th", {scope: "col", class: cellClass(name)}, t(`page.assets.column.${name}`)));
    const grid = el("table", {role: "treegrid", "aria-label": t("page.assets.tree"), "aria-describedby": "tree-keys", onkeydown: (e) => this.key(e)},
      el("thead", {}, el("tr", {}, head)), this.body);
    const all = (open) => () => { closed.clear(); if (!open) this.areas.forEach((a) => closed.add(a.area)); this.filter(); };
    show(root,
      el("div", {class: "bar"}, el("h1", {}, t("page.assets.title")),
        el("div", {class: "tools"},
          el("label", {class: "hidden-text", for: "asset-search"}, t("page.assets.search")), this.search,
          el("button", {type: "button", class: "plain", onclick: all(true)}, t("page.assets.expand_all")),
          el("button", {type: "button", class: "plain", onclick: all(false)}, t("page.assets.collapse_all")))),
      el("div", {class: "card"}, el("div", {class: "scroll"}, grid), this.found,
        el("p", {class: "soft small keys", id: "tree-keys"}, t("page.assets.keys"))));
    this.areas = [];
    setText(this.found, t("page.shell.loading"));
  }

  failed(error) {
    if (!this.rows.length) setText(this.found, this.t("page.shell.failed", {why: error.message}));
  }

  take({areas}) {
    this.areas = areas;
    const shape = JSON.stringify(areas.map((a) => [a.area, a.assets.map((x) => [x.name, x.type, x.carrier, x.fed_by, x.members])]));
    if (shape !== this.shape) this.build(shape);
    const powers = areas.flatMap((a) => a.assets.map((x) => Math.abs(x.power_kw ?? 0)));
    const most = Math.max(...powers, 1);
    const news = new Map(areas.flatMap((a) => a.assets.map((x) => [x.name, x])));
    for (const row of this.rows) {
      if (row.asset) this.fill(row, news.get(row.name), most);
      else showAlerts(row.cells.alerts, this.t, sumOf(row.area.map((name) => news.get(name).alerts)));
    }
  }

  build(shape) {
    this.shape = shape;
    this.rows = this.areas.flatMap(({area, assets}) => [
      this.areaRow(area, assets),
      ...nested(assets).map(([asset, depth]) => this.assetRow(area, asset, depth)),
    ]);
    show(this.body, this.rows.map((row) => row.node));
    this.filter();
  }

  areaRow(area, assets) {
    const toggle = el("span", {class: "toggle", "aria-hidden": "true"});
    const alerts = el("td", {role: "gridcell", class: cellClass("alerts")});
    const name = el("th", {scope: "row", role: "rowheader", colspan: String(COLUMNS.length - 1)}, toggle, area,
      el("span", {class: "soft small count-of"}, String(assets.length)));
    const node = el("tr", {role: "row", class: "area", "aria-level": "1", tabindex: "-1", onclick: () => this.toggle(area)}, name, alerts);
    return {node, name: area, depth: 0, area: assets.map((a) => a.name), cells: {alerts}};
  }

  assetRow(area, asset, depth) {
    const {t} = this;
    const link = el("a", {href: address("assets", asset.name), tabindex: "-1"}, asset.name);
    const parts = asset.members?.length ? asset.members.join(t("page.assets.comma")) : "";
    const under = [asset.fed_by && t("page.assets.fed_by", {name: asset.fed_by}), parts].filter(Boolean).join(" · ");
    const about = under ? el("span", {class: "soft small under"}, under) : null;
    const cells = Object.fromEntries(COLUMNS.slice(1).map((name) => [name, el("td", {role: "gridcell", class: cellClass(name)})]));
    const kind = [typeName(t, asset.type), carrierName(t, asset.carrier)];
    show(cells.type, kind[0], el("span", {class: "soft"}, ` · ${kind[1]}`));
    const head = el("th", {scope: "row", role: "rowheader", class: `depth-${Math.min(depth, 4)}`}, link, about);
    const node = el("tr", {role: "row", class: "asset", "aria-level": String(depth + 1), tabindex: "-1"}, head, Object.values(cells));
    const words = [asset.name, asset.type, asset.carrier, area, ...kind].join(" ").toLowerCase();
    return {node, name: asset.name, depth, asset: true, of: area, cells, words};
  }

  fill({cells, node}, asset, most) {
    const {t, format} = this;
    const {power_kw: power} = asset;
    showNumber(cells.power, format.number(power), power === null ? 0 : Math.abs(power) / most);
    setText(cells.co2, format.number(asset.co2_kg_per_h));
    showState(cells.state, t, asset);
    const quality = asset.quality ? qualityOfWords(t, asset.quality) : null;
    show(cells.quality, quality ? el("span", {class: `quality ${quality.severity}`}, quality.mark && el("span", {class: "mark", "aria-hidden": "true"}, quality.mark), quality.words) : null);
    setText(cells.age, asset.age_s === null ? "" : format.age(asset.age_s));
    cells.age.classList.toggle("late", asset.state === "stale" || asset.state === "down");
    node.classList.toggle("trouble", asset.state in TROUBLE);
    showAlerts(cells.alerts, t, asset.alerts);
  }

  toggle(area) {
    if (closed.has(area)) closed.delete(area);
    else closed.add(area);
    this.filter();
  }

  filter() {
    const {t} = this;
    const wanted = this.search.value.trim().toLowerCase();
    const fits = (row) => row.words.includes(wanted);
    const assets = this.rows.filter((row) => row.asset);
    for (const row of this.rows) {
      if (row.asset) row.node.hidden = wanted ? !fits(row) : closed.has(row.of);
      else {
        row.node.hidden = Boolean(wanted) && !assets.some((a) => a.of === row.name && fits(a));
        row.node.setAttribute("aria-expanded", String(Boolean(wanted) || !closed.has(row.name)));
      }
    }
    const shown = wanted ? assets.filter(fits).length : assets.length;
    if (!assets.length) setText(this.found, t("page.assets.none"));
    else if (!wanted) setText(this.found, "");
    else setText(this.found, shown ? t("page.assets.shown", {n: shown, all: assets.length}) : t("page.assets.none_found", {text: this.search.value}));
    this.enter();
  }

  // One row takes part in the order of Tab; arrows do the rest.
  enter(row = null) {
    const visible = this.rows.filter((r) => !r.node.hidden);
    const chosen = row ?? visible.find((r) => r.node.tabIndex === 0) ?? visible[0];
    for (const r of this.rows) r.node.tabIndex = r === chosen ? 0 : -1;
    if (row) row.node.focus();
  }

  key(event) {
    const visible = this.rows.filter((row) => !row.node.hidden);
    const at = visible.findIndex((row) => row.node === event.target.closest("tr"));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = visible[at];
    const to = (n) => this.enter(visible[Math.min(Math.max(n, 0), visible.length - 1)]);
    const above = visible.findLastIndex((other, i) => i < at && other.depth < row.depth);
    const act = {
      ArrowDown: () => to(at + 1), ArrowUp: () => to(at - 1), Home: () => to(0), End: () => to(visible.length - 1),
      ArrowRight: () => (!row.asset && closed.has(row.name) ? this.toggle(row.name) : to(at + 1)),
      ArrowLeft: () => (row.asset ? to(above) : closed.has(row.name) || this.toggle(row.name)),
      Enter: () => (row.asset ? go("assets", row.name) : this.toggle(row.name)),
      " ": () => (row.asset ? go("assets", row.name) : this.toggle(row.name)),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

// Assets in the order of what feeds them, each with its depth below the area.
function nested(assets) {
  const here = new Set(assets.map((a) => a.name));
  const below = (name, depth) => assets.filter((a) => (here.has(a.fed_by) ? a.fed_by : null) === name)
    .flatMap((a) => [[a, depth], ...below(a.name, depth + 1)]);
  return below(null, 1);
}

const cellClass = (name) => `of-${name}${NUMBERS.includes(name) ? " number" : ""}`;

function showNumber(cell, text, share) {
  if (!cell.firstChild) cell.append(el("span", {class: "amount"}), el("span", {class: "share", "aria-hidden": "true"}));
  setText(cell.firstChild, text);
  cell.lastChild.style.setProperty("--share", share.toFixed(3));
}

function showState(cell, t, {state, running}) {
  const wrong = TROUBLE[state];
  show(cell, running ? runsAs(t, running) : "", wrong && el("span", {class: `tag ${wrong}`}, t(`page.assets.asset_state.${state}`)));
}

function sumOf(all) {
  return Object.fromEntries(SEVERITIES.map((name) => [name, all.reduce((sum, one) => sum + (one?.[name] ?? 0), 0)]));
}

function showAlerts(cell, t, counts) {
  const shown = SEVERITIES.filter((name) => counts?.[name]);
  const text = JSON.stringify(counts);
  if (cell.dataset.shown === text) return;
  cell.dataset.shown = text;
  show(cell, shown.map((name) => el("span", {class: "alerts-of"}, sign(name, t(`page.alerts.severity.${name}`)), String(counts[name]))));
}
