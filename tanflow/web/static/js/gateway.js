// The gateway's own health in; its state and connections, dead letters, commissioning view and acts as parts of a page out.

import {mount as mountActs} from "./acts.js";
import {mount as mountCommissioning} from "./commissioning.js";
import {el, show} from "./dom.js";
import {mount as mountHealth} from "./gateway_health.js";
import {mount as mountLetters} from "./letters.js";
import {address} from "./address.js";

const PARTS = {
  state: {mount: mountHealth, asks: "read"},
  letters: {mount: mountLetters, asks: "read"},
  commissioning: {mount: mountCommissioning, asks: "commission"},
  acts: {mount: mountActs, asks: "audit"},
};

export async function mount(root, context) {
  const {t, can} = context;
  const chosen = context.name in PARTS ? context.name : "state";
  const allowed = Object.keys(PARTS).filter((name) => can(PARTS[name].asks));
  const link = (name) => el("a", {href: address("gateway", name === "state" ? "" : name), "aria-current": name === chosen ? "page" : null}, t(`page.gateway.tab.${name}`));
  const content = el("div");
  show(root,
    el("div", {class: "bar"}, el("h1", {}, t("page.gateway.title")),
      el("nav", {class: "parts", "aria-label": t("page.gateway.tabs")}, allowed.map(link))),
    content);
  if (allowed.includes(chosen)) return PARTS[chosen].mount(content, context);
  show(content, el("p", {class: "empty"}, t(`page.gateway.${chosen}.forbidden`)));
  return () => {};
}
