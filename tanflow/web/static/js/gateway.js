// The page gateway: what the gateway says of it → elements.

import {el, show} from "./dom.js";

export function mount(root, {t}) {
  show(root, el("h1", {}, t("page.shell.gateway")));
  return () => {};
}
