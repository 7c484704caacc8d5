// The start: words, who is here, the frame, then the page the address names.

import {api, onSignedOut} from "./api.js";
import {byId, el, setText, show} from "./dom.js";
import {createFormat} from "./format.js";
import {frame} from "./frame.js";
import {login} from "./login.js";
import {poll} from "./poll.js";
import {go, where} from "./address.js";
import {fetchAhead, router} from "./router.js";
import {createStream} from "./stream.js";
import {applyTheme} from "./theme.js";
import {isWall, wall} from "./wall.js";
import {language, loadWords} from "./words.js";

const AGAIN_MS = 2_000;

async function start() {
  applyTheme();
  fetchAhead();
  const first = api.get("/api/me").catch((error) => error); // beside the words
  const ahead = first.then((me) => (me instanceof Error ? null : api.get("/api/health").catch(() => null)));
  let t = await loadWords(language());
  const spoken = language(((await first).said ?? (await first)).language_default);
  if (spoken !== t.language) t = await loadWords(spoken);
  document.documentElement.lang = t.language;
  setText(byId("skip"), t("page.shell.skip"));
  byId("skip").onclick = (event) => { event.preventDefault(); byId("main").focus(); };
  const me = await someone(t, await first);
  await open(t, me, await ahead ?? await api.get("/api/health"));
}

// Who is here: asks a person who has not said so, waits for a gateway that does not answer.
async function someone(t, found) {
  const lost = byId("lost");
  while (found instanceof Error) {
    lost.hidden = found.status === 401;
    if (found.status === 401) await login(byId("main"), t, found.said);
    else {
      setText(lost, found.status ? t("page.shell.failed", {why: found.message}) : t("page.shell.lost_at_start"));
      await new Promise((then) => setTimeout(then, AGAIN_MS));
    }
    found = await api.get("/api/me").catch((error) => error);
  }
  lost.hidden = true;
  return found;
}

async function open(t, me, {site}) {
  setText(byId("site"), site.name);
  const format = createFormat(t, site.zone);
  const stream = createStream();
  const context = {api, stream, t, format, go, me, site, poll, can: (permission) => me.permissions.includes(permission)};
  const main = byId("main");
  let first = true;
  const around = frame(context, {signOut: async () => { await api.post("/api/logout", {}); location.reload(); }});
  const pages = router(main, context, {
    shown(page) {
      around.shown(page);
      scrollTo(0, 0);
      if (!first) main.focus(); // a screen reader is told that all is new
      first = false;
    },
    failed(section, error) {
      const why = error ? t("page.shell.failed", {why: error.message}) : t("page.shell.not_found");
      const retry = el("button", {type: "button", onclick: () => pages.show()}, t("page.shell.retry"));
      show(section, el("h1", {}, why), error ? retry : el("p", {class: "soft"}, t("page.shell.not_found_where")));
    },
  });
  onSignedOut(() => {
    onSignedOut(() => {});
    pages.stop();
    around.ended();
    stream.close();
    start();
  });
  if (isWall()) wall(context, where);
  await pages.show();
}

start();
