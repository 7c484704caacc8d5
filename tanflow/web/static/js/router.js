// The address's hash → the page that is shown.

import {where} from "./address.js";

const PAGES = {
  overview: () => import("./overview.js"),
  assets: () => import("./assets.js"),
  alerts: () => import("./alerts.js"),
  carbon: () => import("./carbon.js"),
  gateway: () => import("./gateway.js"),
};

export const pages = () => Object.keys(PAGES);

// Fetches the page the address names while other things are asked for.
export const fetchAhead = () => void PAGES[where().page]?.().catch(() => {}); // it is told where it is shown

// router(root, context, {shown, failed}) → {show, stop}; a page is mount(root, context) → unmount.
export function router(root, context, {shown, failed}) {
  let unmount = null;
  let turn = 0;
  async function show() {
    const mine = ++turn;
    const {page, name, parameters} = where();
    leave();
    const section = document.createElement("div");
    section.className = `page ${page}`;
    root.replaceChildren(section);
    shown(page);
    try {
      if (!(page in PAGES)) throw new Error("");
      const module = await PAGES[page]();
      if (mine !== turn) return;
      const left = await module.mount(section, {...context, name, parameters});
      if (mine === turn) unmount = left;
      else left?.();
    } catch (error) {
      if (mine === turn) failed(section, page in PAGES ? error : null);
    }
  }
  function leave() {
    unmount?.();
    unmount = null;
  }
  addEventListener("hashchange", show);
  return {
    show,
    stop() {
      turn += 1;
      removeEventListener("hashchange", show);
      leave();
    },
  };
}
