// Two questions to a person who may answer them: acknowledge an alert, silence what needs no telling for a while.

import {titleOf} from "./alert_parts.js";
import {el, show} from "./dom.js";

const HOURS = [1, 8, 24];
const HOUR_S = 3_600;

// What a person who may can do with an alert in force.
export function buttons(context, alert, again) {
  const {t, can} = context;
  return [
    can("acknowledge") && !alert.acknowledged && el("button", {type: "button", "data-at": `ack ${alert.id}`,
      "aria-label": t("page.alerts.acknowledge_this", {name: titleOf(context, alert), asset: alert.asset}), onclick: () => acknowledge(context, alert).then(again)}, t("page.alerts.acknowledge")),
    can("silence") && !alert.silenced && el("button", {type: "button", "data-at": `silence ${alert.id}`,
      "aria-label": t("page.alerts.silence_this", {name: titleOf(context, alert), asset: alert.asset}), onclick: () => silence(context, alert).then(again)}, t("page.alerts.silence")),
  ];
}

// Both resolve when the dialog is gone, whatever was answered.
function acknowledge(context, alert) {
  const {t, api} = context;
  const note = el("textarea", {id: "note", maxlength: "500", rows: "3"});
  return ask(context, t("page.alerts.acknowledge"), describe(context, alert), [
    el("label", {for: "note"}, el("span", {class: "label"}, t("page.alerts.note")), note),
  ], t("page.alerts.acknowledge"), () => api.post("/api/alerts/acknowledge", {id: alert.id, note: note.value.trim()}));
}

function silence(context, alert) {
  const {t, api} = context;
  const why = el("textarea", {id: "why", maxlength: "500", rows: "2", required: true});
  const [scope, scopes] = radios("scope", t("page.alerts.silence_what"), [["alert", t("page.alerts.only_this")], ["asset", t("page.alerts.whole_asset", {asset: alert.asset})]]);
  const lengths = [...HOURS.map((n) => [String(n * HOUR_S), t("ages.h", {n})]), ["until", t("page.alerts.until")]];
  const [length, times] = radios("length", t("page.alerts.silence_for"), lengths);
  const until = el("input", {type: "datetime-local", id: "until", hidden: true, "aria-label": t("page.alerts.until")});
  times.addEventListener("change", () => { until.hidden = length() !== "until"; until.required = !until.hidden; });
  times.append(until);
  return ask(context, t("page.alerts.silence"), describe(context, alert), [
    scopes, times, el("label", {for: "why"}, el("span", {class: "label"}, t("page.alerts.why")), why),
  ], t("page.alerts.silence"), () => api.post("/api/silences", {
    match: scope() === "asset" ? {assets: [alert.asset]} : {assets: [alert.asset], alerts: [alert.name]},
    ...(length() === "until" ? {until: new Date(context.format.fromWall(until.value)).toISOString()} : {for_s: Number(length())}),
    why: why.value.trim(),
  }));
}

const describe = (context, alert) => el("p", {}, titleOf(context, alert), el("span", {class: "soft"}, ` · ${alert.asset}`));

function radios(name, label, options) {
  const inputs = options.map(([value], i) => el("input", {type: "radio", name, value, id: `${name}-${value}`, checked: i === 0}));
  const labels = inputs.map((input, i) => el("label", {class: "radio", for: input.id}, input, options[i][1]));
  return [() => inputs.find((input) => input.checked).value, el("fieldset", {class: "field"}, el("legend", {class: "label"}, label), labels)];
}

function ask({t}, title, about, fields, does, send) {
  return new Promise((done) => {
    const wrong = el("p", {class: "wrong", role: "alert"});
    const yes = el("button", {class: "main"}, does);
    const submit = async (event) => {
      event.preventDefault();
      yes.disabled = true;
      try {
        await send();
        dialog.close();
      } catch (error) {
        show(wrong, error.message);
        yes.disabled = false;
      }
    };
    const cancel = el("button", {type: "button", onclick: () => dialog.close()}, t("page.shell.cancel"));
    const form = el("form", {class: "form", onsubmit: submit}, el("h2", {id: "ask-title"}, title), about, fields, wrong, el("div", {class: "buttons"}, cancel, yes));
    const dialog = el("dialog", {"aria-labelledby": "ask-title", onclose: () => { dialog.remove(); done(); }}, form);
    document.body.append(dialog);
    dialog.showModal();
    form.querySelector("textarea").focus();
  });
}
