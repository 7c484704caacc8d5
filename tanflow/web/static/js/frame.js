// What stands around the pages: their names, the gateway's state and clock, the menu, the word of a lost connection.

import {byId, el, setText, SEVERITIES, show, sign} from "./dom.js";
import {icon} from "./icons.js";
import {address, where} from "./address.js";
import {pages} from "./router.js";
import {chooseTheme, theme, themes} from "./theme.js";
import {chooseLanguage, languages} from "./words.js";

const TICK_MS = 1_000;

// frame(context, {signOut}) → {shown(page), ended}
export function frame(context, {signOut}) {
  const {t, stream, format} = context;
  const links = drawNav(t);
  drawMenu(context, signOut);
  const clock = runningClock(format);
  const stops = [
    stream.watch({}, {
      health: (health) => { clock.set(health.time); drawState(t, health); },
      latest: ({now_ns: now}) => clock.set(now / 1e6),
      alerts: ({counts}) => drawCounts(t, links.alerts, counts),
    }),
    stream.onState(({lostSince}) => {
      clock.hold(lostSince !== null);
      if (lostSince !== null) drawState(t, {state: "unknown"});
    }),
    lostConnection(t, stream, format, clock),
    () => clock.stop(),
  ];
  return {
    shown(page) {
      for (const [name, link] of Object.entries(links)) {
        if (name === page) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      const name = t.maybe(`page.names.${page}`);
      document.title = [name, byId("site").textContent].filter(Boolean).join(" · ");
    },
    ended() {
      stops.forEach((stop) => stop());
      byId("nav").hidden = byId("settings").hidden = byId("state").hidden = true;
    },
  };
}

function drawNav(t) {
  const nav = byId("nav");
  const links = Object.fromEntries(pages().map((name) =>
    [name, el("a", {href: address(name)}, icon(name), el("span", {}, t(`page.names.${name}`)))]));
  show(nav, Object.values(links));
  nav.setAttribute("aria-label", t("page.shell.navigation"));
  nav.hidden = false;
  // Arrows go along the names too, as in a bar of an operating desk.
  nav.onkeydown = (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const all = Object.values(links);
    const at = all.indexOf(document.activeElement);
    if (step && at >= 0) all[(at + step + all.length) % all.length].focus();
  };
  return links;
}

function drawCounts(t, link, counts) {
  const open = counts.critical + counts.warning + counts.info;
  const worst = SEVERITIES.find((severity) => counts[severity] > 0);
  link.querySelector(".count")?.remove();
  if (!open) return;
  const words = t("page.shell.open_alerts", {n: open});
  link.append(el("span", {class: `count ${worst}`, title: words}, String(open), el("span", {class: "hidden-text"}, ` ${words}`)));
}

function drawState(t, health) {
  const state = byId("state");
  const severity = {ok: "good", degraded: "warning", down: "critical"}[health.state] ?? "";
  const mark = ["warning", "critical"].includes(severity) ? sign(severity) : null;
  const words = t(`page.shell.state_${health.state}`);
  if (state.dataset.words === words) return;
  state.dataset.words = words;
  show(state, el("a", {class: `tag ${severity}`, href: address("gateway")}, mark, words));
  state.hidden = false;
}

function drawMenu(context, signOut) {
  const {t, me} = context;
  const button = byId("settings");
  show(button, icon("settings"));
  button.setAttribute("aria-label", t("page.shell.settings"));
  button.hidden = false;
  const pick = (label, options, chosen, choose) => el("label", {}, el("span", {class: "label"}, label),
    el("select", {onchange: (event) => choose(event.target.value)},
      options.map(([value, text]) => el("option", {value, selected: value === chosen}, text))));
  const role = t.maybe(`page.roles.${me.role}`) ?? me.role;
  show(byId("menu"), el("div", {class: "form"},
    pick(t("page.shell.language"), languages(), t.language, (chosen) => { chooseLanguage(chosen); location.reload(); }),
    pick(t("page.shell.theme"), themes().map((name) => [name, t(`page.shell.theme_${name}`)]), theme(), chooseTheme),
    el("a", {href: `?wall${where().page === "alerts" ? "#/alerts" : ""}`}, t("page.shell.wall")),
    me.users ? el("p", {class: "soft small"}, t("page.shell.signed_in_as", {user: me.user, role})) : null,
    me.users ? el("button", {type: "button", onclick: signOut}, t("page.shell.sign_out")) : null));
}

// The gateway's clock, carried on between its words; it stands while the connection is lost.
function runningClock(format) {
  const node = byId("clock");
  let ahead_ms = 0;
  let held = true;
  const tick = () => {
    if (!held) setText(node, format.clock((Date.now() + ahead_ms) * 1e6));
  };
  const timer = setInterval(tick, TICK_MS);
  return {
    set(time) {
      ahead_ms = new Date(time).getTime() - Date.now();
      held = false;
      tick();
    },
    hold(now) { held = now; },
    at: (ms) => (ms + ahead_ms) * 1e6, // what the gateway's clock showed then [ns]
    stop: () => clearInterval(timer),
  };
}

// Never hidden: since when nothing comes, and how old what is shown has become.
function lostConnection(t, stream, format, clock) {
  const node = byId("lost");
  let since = null;
  const tell = () => {
    if (since === null) return;
    const age = format.age((Date.now() - since) / 1000);
    setText(node, t("page.shell.lost", {time: format.clock(clock.at(since)), age}));
  };
  const timer = setInterval(tell, TICK_MS);
  const forget = stream.onState(({connected, lostSince, everConnected}) => {
    since = everConnected ? lostSince : null;
    document.documentElement.classList.toggle("lost", since !== null);
    node.hidden = connected || !lostSince;
    if (since === null && !node.hidden) setText(node, t("page.shell.lost_at_start"));
    tell();
  });
  return () => {
    clearInterval(timer);
    forget();
    node.hidden = true;
    document.documentElement.classList.remove("lost");
  };
}
