// ?wall: a screen without anyone at it goes from overview to alerts and back; an open critical alert holds it there.

const STAY_MS = 30_000;
const CYCLE = ["overview", "alerts"];

export const isWall = () => new URLSearchParams(location.search).has("wall");

export function wall({go, stream}, where) {
  let critical = 0;
  document.documentElement.classList.add("wall");
  stream.watch({}, {alerts: ({counts}) => { critical = counts.critical; }});
  setInterval(() => {
    const next = CYCLE[(CYCLE.indexOf(where().page) + 1) % CYCLE.length];
    if (critical && where().page === "alerts") return;
    go(next);
  }, STAY_MS);
}
