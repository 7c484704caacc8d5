// The silences in force → a table, from which who may ends one.

import {timeOf} from "./alert_parts.js";
import {el, table} from "./dom.js";

// drawSilences(context, signal, again) → a node
export async function drawSilences(context, signal, again) {
  const {t, api, can, format} = context;
  const {silences} = await api.get("/api/silences", {}, signal);
  if (!silences.length) return el("p", {class: "card empty"}, t("page.alerts.none_silences"));
  const end = (id) => api.post("/api/silences/end", {id}).then(again, again);
  const rows = silences.map((s) => [
    matched(t, s.match), format.time(timeOf(s.until)), s.by, s.why,
    can("silence") ? el("button", {type: "button", "data-at": `end ${s.id}`, onclick: () => end(s.id)}, t("page.alerts.end_now")) : "",
  ]);
  const columns = ["silenced", "silenced_until", "silenced_who", "silenced_why"].map((key) => ({label: t(`page.alerts.${key}`)}));
  return el("section", {class: "card"}, table(t("page.alerts.show_silences"), [...columns, {label: el("span", {class: "hidden-text"}, t("page.alerts.end_now"))}], rows));
}

function matched(t, match) {
  const parts = ["assets", "areas", "alerts", "severities"].filter((name) => match[name]?.length)
    .map((name) => (name === "severities" ? match[name].map((s) => t(`page.alerts.severity.${s}`)) : match[name]).join(", "));
  return parts.join(" · ") || t("page.alerts.everything");
}
