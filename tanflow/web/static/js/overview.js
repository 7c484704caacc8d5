// The overview: what the site takes and emits now, today against other days, where it flows, what is wrong.

import {alertLines} from "./alert_parts.js";
import {dayCurve} from "./day_curve.js";
import {el, show} from "./dom.js";
import {figures} from "./figures.js";
import {flowCard} from "./flow.js";
import {intensities} from "./intensities.js";

const EVERY_MS = 3_000;
const MOST_ALERTS = 6;

export function mount(root, context) {
  const {t, api, stream, poll} = context;
  const strip = figures(context);
  const curve = dayCurve(context);
  const flow = flowCard(context);
  const energy = intensities(context);
  const open = el("div");
  const wrong = el("p", {class: "notice warning", role: "alert", hidden: true});
  show(root, el("h1", {class: "hidden-text"}, t("page.names.overview")), wrong, strip.node,
    el("div", {class: "columns"}, curve.node, el("div", {class: "side"},
      el("section", {class: "card"}, el("div", {class: "bar"}, el("h2", {}, t("page.overview.open_alerts")),
        el("a", {href: "#/alerts", class: "small"}, t("page.overview.all_alerts"))), open),
      energy.node)),
    flow.node);
  const readAlerts = async (signal) => {
    const found = await api.get("/api/alerts", {limit: 100}, signal);
    show(open, alertLines(context, found, MOST_ALERTS));
  };
  const figuresPoll = poll(async (signal) => {
    const found = await api.get("/api/overview", {}, signal);
    wrong.hidden = true;
    strip.update(found);
    curve.update(found);
    energy.update(found);
  }, EVERY_MS, (error) => {
    show(wrong, t("page.shell.failed", {why: error.message}));
    wrong.hidden = !error.status; // a lost connection is the frame's to tell
  });
  const alertsPoll = poll(readAlerts, 30_000);
  const stops = [figuresPoll, alertsPoll, stream.watch({}, {alerts: () => alertsPoll.now()}),
    () => curve.dispose(), () => flow.dispose()];
  return () => stops.forEach((stop) => stop());
}
