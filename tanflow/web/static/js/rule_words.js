// A rule as it stands in the configuration → what it says, in the reader's words.

import {el} from "./dom.js";

// Every kind has one sentence; what a rule leaves open is told in words of its own.
export function ruleWords(context, alert) {
  const {t, format} = context;
  const {rule, kind, unit} = alert;
  const sentence = SENTENCES[kind]?.(rule, (value) => format.exact(value, unit), context);
  const held = rule.hold_s > 0 ? t("page.alerts.rule_hold", {age: format.age(rule.hold_s)}) : "";
  return el("p", {}, sentence ?? "", held && (t.language.startsWith("zh") ? held : ` ${held}`));
}

const SENTENCES = {
  threshold(rule, amount, {t}) {
    const watched = rule.window ?? rule.point;
    const above = rule.above !== null && rule.above !== undefined;
    const limit = amount(above ? rule.above : rule.below);
    const clear = (above ? rule.clear_below : rule.clear_above) ?? (above ? rule.above : rule.below);
    return t(above ? "page.alerts.rule_above" : "page.alerts.rule_below", {watched, limit, clear: amount(clear)});
  },
  rate_of_change(rule, amount, {t, format}) {
    const rising = rule.rising_per_h !== null && rule.rising_per_h !== undefined;
    const rate = amount(rising ? rule.rising_per_h : rule.falling_per_h);
    return t(rising ? "page.alerts.rule_rising" : "page.alerts.rule_falling", {watched: rule.point, rate, over: format.age(rule.over_s)});
  },
  stale: (rule, _, {t, format}) => t("page.alerts.rule_stale", {watched: rule.device, age: format.age(rule.after_s)}),
  frozen: (rule, _, {t, format}) => t("page.alerts.rule_frozen", {watched: rule.device, age: format.age(rule.after_s)}),
  deviation(rule, _, {t, format}) {
    const percent = format.whole(rule.over_percent ?? rule.under_percent);
    const over = rule.over_percent !== null && rule.over_percent !== undefined;
    const fields = {watched: rule.window, percent, driver: rule.driver ?? "", days: rule.learn_days};
    return t(`page.alerts.rule_${rule.expected ?? "curve"}_${over ? "over" : "under"}`, fields);
  },
  intensity: (rule, _, {t, format}) => t("page.alerts.rule_intensity", {watched: rule.window, percent: format.whole(rule.over_percent)}),
  budget: (rule, amount, {t}) => t("page.alerts.rule_budget", {watched: rule.points.join(", "), limit: amount(rule.limit)}),
  demand: (rule, amount, {t}) => t("page.alerts.rule_demand", {watched: rule.power, limit: amount(rule.limit_kw), minutes: parseInt(rule.every, 10)}),
  grade: (rule, _, {t}) => (rule.worse_than ? t("page.alerts.rule_grade", {watched: rule.window, grade: rule.worse_than}) : t("page.alerts.rule_grade_drop", {watched: rule.window})),
  calibration: (rule, _, {t}) => t("page.alerts.rule_calibration", {watched: rule.meter, days: rule.days}),
  health: (rule, _, {t}) => t("page.alerts.rule_health", {watched: rule.component, counter: t.maybe(`page.alerts.counter.${rule.counter}`) ?? rule.counter}),
};
