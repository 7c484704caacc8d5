// A year of the ledger in; its months by scope, by location and market side by side, with all that was corrected, out.

import {monthsChart} from "./carbon_chart.js";
import {reportForm} from "./carbon_report.js";
import {corrections, head, linesTable, monthsTable, scopesTable, substitutions} from "./carbon_tables.js";
import {el, setText, show} from "./dom.js";
import {go} from "./address.js";

const EVERY_MS = 15_000;

export async function mount(root, context) {
  const {api, t, poll, parameters} = context;
  const page = new Carbon(root, context, parameters);
  const stop = poll(async (signal) => page.take(await api.get("/api/carbon", {year: page.year}, signal), signal), EVERY_MS, (error) => page.failed(error));
  document.title = [t("page.carbon.title"), context.site?.name].filter(Boolean).join(" · ");
  return () => {
    stop();
    page.close();
  };
}

class Carbon {
  constructor(root, context, parameters) {
    this.context = context;
    this.year = parameters.get("year") ?? "";
    this.month = Number(parameters.get("month")) || 0; // 0: the whole year
    this.shown = "";
    const {t} = context;
    const yearName = el("strong", {class: "year"});
    const turn = (by) => () => this.to(Number(this.year || yearName.textContent) + by, 0);
    this.yearName = yearName;
    this.months = el("select", {"aria-label": t("page.carbon.month"), onchange: () => this.to(this.year || yearName.textContent, Number(this.months.value))});
    const tools = el("div", {class: "tools"},
      el("button", {type: "button", "aria-label": t("page.carbon.earlier_year"), onclick: turn(-1)}, "‹"), yearName,
      this.later = el("button", {type: "button", "aria-label": t("page.carbon.later_year"), onclick: turn(1)}, "›"), this.months);
    this.status = el("p", {class: "soft", role: "status"}, t("page.shell.loading"));
    const card = (id, ...content) => el("section", {class: `card of-${id}`, "aria-labelledby": `carbon-${id}`}, el("h2", {id: `carbon-${id}`}), content);
    this.parts = Object.fromEntries(["scopes", "by_month", "months", "lines", "restatements", "substitutions", "head", "report"].map((id) => [id, el("div")]));
    this.cards = Object.fromEntries(Object.entries(this.parts).map(([id, node]) => [id, card(id, node)]));
    for (const [id, node] of Object.entries(this.cards)) if (id !== "scopes") setText(node.firstChild, t(`page.carbon.${id === "months" ? "table" : id}`));
    this.chart = monthsChart(context, (month) => this.to(this.year || yearName.textContent, month));
    show(this.parts.by_month, this.chart.node);
    this.report = reportForm(context);
    show(this.parts.report, this.report.node);
    this.grid = el("div", {class: "carbon-grid", hidden: true}, Object.values(this.cards));
    show(root, el("div", {class: "bar"}, el("h1", {}, t("page.carbon.title")), tools), this.status, this.grid);
  }

  to(year, month) {
    go("carbon", "", {year, month: month || ""});
  }

  failed(error) {
    setText(this.status, this.context.t("page.shell.failed", {why: error.message}));
    this.status.hidden = false;
  }

  async take(year, signal) {
    const text = JSON.stringify([year, this.month]);
    if (text === this.shown) return;
    const lines = this.month ? await this.linesOf(year.year, signal) : year.lines;
    this.shown = text;
    this.draw({...year, lines});
  }

  // The lines of a year come with it, those of a month are asked for.
  async linesOf(year, signal) {
    const day = (month) => `${year + (month > 12 ? 1 : 0)}-${String(((month - 1) % 12) + 1).padStart(2, "0")}-01`;
    const {rows} = await this.context.api.get("/api/emissions", {from: day(this.month), to: day(this.month + 1), by: "month"}, signal);
    return rows;
  }

  draw(year) {
    const {context, month} = this;
    const {t} = context;
    setText(this.yearName, String(year.year));
    this.newest ??= this.year ? null : year.year;
    this.later.disabled = this.newest === year.year;
    const monthName = (n) => new Intl.DateTimeFormat(context.format.locale, {month: "long", timeZone: "UTC"}).format(Date.UTC(year.year, n - 1));
    show(this.months, [0, ...year.months.map((_, i) => i + 1)].map((n) => el("option", {value: String(n), selected: n === month}, n ? monthName(n) : t("page.carbon.whole_year"))));
    const known = year.months.some((m) => m.scope1 !== null);
    this.grid.hidden = false;
    this.status.hidden = known;
    setText(this.status, known ? "" : t("page.carbon.empty", {year: year.year}));
    for (const id of ["scopes", "by_month", "months", "lines"]) this.cards[id].hidden = !known;
    const whole = new Intl.DateTimeFormat(context.format.locale, {year: "numeric", month: month ? "long" : undefined, timeZone: "UTC"});
    const period = whole.format(Date.UTC(year.year, Math.max(0, month - 1)));
    setText(this.cards.scopes.firstChild, period);
    setText(this.cards.lines.firstChild, t("page.carbon.lines_of", {what: period}));
    const market = year.lines.some((line) => line.method === "market");
    const chosen = month ? [year.months[month - 1]] : year.months;
    show(this.parts.scopes, scopesTable(context, chosen, market));
    this.chart.draw(year.months, {year: year.year, market});
    show(this.parts.months, monthsTable(context, year.months, {market, month, choose: (n) => this.to(year.year, n)}));
    show(this.parts.lines, linesTable(context, year.lines));
    show(this.parts.restatements, corrections(context, year));
    show(this.parts.substitutions, substitutions(context, year));
    show(this.parts.head, head(context, year.head));
    this.report.at(year.year, month);
  }

  close() {
    this.chart.close();
  }
}
