// A year or month in; a form that fetches its report as a file, for who may export, out.

import {el, setText} from "./dom.js";
import {languages} from "./words.js";

const FORMATS = ["html", "xlsx", "json", "csv"];

/** Return {node, at(year, month)}. */
export function reportForm({t, api, can}) {
  if (!can("export")) return {node: el("p", {class: "soft"}, t("page.carbon.no_export")), at: () => {}};
  const period = {year: 0, month: 0};
  const field = (id, control) => el("label", {class: "field"}, el("span", {class: "label"}, t(`page.carbon.${id}`)), control);
  const format = el("select", {}, FORMATS.map((id) => el("option", {value: id}, t(`page.carbon.format_${id}`))));
  const language = el("select", {}, languages().map(([id, name]) => el("option", {value: id, selected: id === t.language}, name)));
  const button = el("button", {type: "submit", class: "main"}, t("page.carbon.download"));
  const said = el("p", {class: "small", role: "status"});
  const form = el("form", {class: "report", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(said, t("page.carbon.preparing"));
    const asked = new URLSearchParams({year: period.year, format: format.value, lang: language.value});
    if (period.month) asked.set("month", period.month);
    try {
      await api.download(`/api/report?${asked}`);
      setText(said, t("page.carbon.done"));
    } catch (error) {
      setText(said, t("page.shell.failed", {why: error.message}));
    } finally {
      button.disabled = false;
    }
  }}, field("format", format), field("language", language), button);
  const about = el("p", {class: "soft small"});
  return {
    node: el("div", {}, about, form, said),
    at(year, month) {
      Object.assign(period, {year, month});
      setText(about, t("page.carbon.report_of", {period: month ? `${year}-${String(month).padStart(2, "0")}` : year}));
    },
  };
}
