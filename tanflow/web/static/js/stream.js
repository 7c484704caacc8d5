// What the pages watch → one stream of server-sent events, kept up: it resumes by itself and says how long it is lost.

import {headers} from "./api.js";

const SILENT_MS = 25_000; // the gateway speaks each 10 s; longer silence is a lost connection
const AGAIN_MS = [500, 1_000, 2_000, 4_000, 8_000];
const SETTLE_MS = 30; // watchers of one page come together

// stream.watch({series: [keys], quantity: [names]}, {latest, health, alerts}) → stop
// stream.onState(told) → stop; told({connected, lostSince}) now and at each change
export function createStream() {
  const watchers = new Set();
  const listeners = new Set();
  const known = new Map(); // event → its last data, for who comes later
  const latest = new Map(); // key → [time_ns, value, bits]
  const state = {connected: false, lostSince: null, everConnected: false};
  let control = null;
  let timer = 0;
  let tries = 0;

  function tell(connected) {
    if (state.connected === connected && (connected || state.lostSince)) return;
    state.connected = connected;
    state.everConnected ||= connected;
    state.lostSince = connected ? null : Date.now();
    for (const told of listeners) told(state);
  }

  function deliver(event, data) {
    if (event === "latest") {
      for (const [key, row] of Object.entries(data.latest)) latest.set(key, row);
      known.set("now_ns", data.now_ns);
    } else known.set(event, data);
    for (const {to} of watchers) to[event]?.(data);
  }

  function address() {
    const all = (name) => [...new Set([...watchers].flatMap(({wanted}) => wanted[name] ?? []))].join(",");
    const parameters = {series: all("series"), quantity: all("quantity")};
    const given = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
    return `/api/stream${given.size ? "?" : ""}${given}`;
  }

  async function read(mine) {
    let silence = 0;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => mine.abort(), SILENT_MS);
    };
    hear();
    try {
      const answer = await fetch(address(), {headers: headers(), signal: mine.signal, cache: "no-store"});
      if (!answer.ok) throw new Error(`stream: ${answer.status}`);
      tries = 0;
      tell(true);
      for await (const [event, data] of events(answer.body, hear)) deliver(event, data);
    } catch (error) {
      if (control !== mine) return; // replaced by a newer one
    } finally {
      clearTimeout(silence);
    }
    if (control !== mine) return;
    tell(false);
    again(AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]);
  }

  function again(delay_ms) {
    clearTimeout(timer);
    timer = setTimeout(open, delay_ms);
  }

  function open() {
    clearTimeout(timer);
    const before = control;
    control = new AbortController();
    before?.abort();
    read(control);
  }

  addEventListener("online", open);
  return {
    watch(wanted, to) {
      const watcher = {wanted, to};
      const before = address();
      watchers.add(watcher);
      for (const event of ["health", "alerts"]) if (known.has(event)) to[event]?.(known.get(event));
      if (to.latest) {
        const had = (wanted.series ?? []).filter((key) => latest.has(key)).map((key) => [key, latest.get(key)]);
        if (had.length) to.latest({now_ns: known.get("now_ns"), latest: Object.fromEntries(had)});
      }
      if (!control || address() !== before) again(SETTLE_MS);
      return () => watchers.delete(watcher); // what is no longer wanted is left out at the next change
    },
    onState(told) {
      listeners.add(told);
      if (control) told(state);
      return () => listeners.delete(told);
    },
    open,
    close() {
      clearTimeout(timer);
      const before = control;
      control = null;
      before?.abort();
    },
  };
}

// The events of a body as [name, data]; `hear` is called for each piece, comments too.
async function* events(body, hear) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    hear();
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).trimStart());
      const data = field("data");
      if (data.length) yield [field("event")[0] ?? "message", JSON.parse(data.join("\n"))];
    }
  }
}
