// Pointer, wheel and keys over a chart in; the stretch of time to show, moved or zoomed, out.

const STEP = 1.5; // one step of zooming
const SHIFT = 0.2; // one step of moving, as a share of what is shown
const LIVE = 0.02; // of what is shown
const LEAST_MS = 10_000;
const MOST_MS = 10 * 366 * 86_400_000;

/** Return whether a stretch ends so near to now that its end stays there. */
export const isLive = ({from, to}, now) => to >= now - LIVE * (to - from);

/** Return a stretch `factor` times as long around the share `at` of it (its middle, or now), never later than `now`. */
export function zoomed({from, to}, factor, now, at = isLive({from, to}, now) ? 1 : 0.5) {
  const length = Math.min(Math.max((to - from) * factor, LEAST_MS), MOST_MS);
  const begin = from + (to - from - length) * at;
  return held({from: begin, to: begin + length}, now);
}

/** Return the stretch moved by a share of its length. */
export function moved({from, to}, share, now) {
  const by = (to - from) * share;
  return held({from: from + by, to: to + by}, now);
}

function held({from, to}, now) {
  const late = Math.max(0, to - now);
  return {from: from - late, to: to - late};
}

/**
 * Listen on a chart's element. `plot()` says where time runs [px: left, width], `shown()` what is shown,
 * `now()` the latest time, `show(stretch)` takes the new one, `home()` returns to now. Returns how to stop.
 */
export function movable(element, {plot, shown, now, show, home}) {
  const fingers = new Map();
  const shareAt = (x) => Math.min(1, Math.max(0, (x - element.getBoundingClientRect().left - plot().left) / plot().width));

  function down(event) {
    if (event.button) return;
    fingers.set(event.pointerId, event.clientX);
    if (event.pointerType === "mouse") element.setPointerCapture(event.pointerId);
  }

  function move(event) {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, event.clientX);
    const after = [...fingers.values()];
    if (after.length === 1) {
      const share = (before[0] - after[0]) / plot().width;
      if (share) show(moved(shown(), share, now()));
    } else if (after.length === 2) {
      const [one, other] = [before, after].map(([a, b]) => Math.max(20, Math.abs(a - b)));
      show(zoomed(shown(), one / other, now(), shareAt((after[0] + after[1]) / 2)));
    }
  }

  const up = (event) => fingers.delete(event.pointerId);

  // Without Ctrl, and without the focus, the wheel scrolls the page as everywhere.
  function wheel(event) {
    if (!event.ctrlKey && document.activeElement !== element) return;
    event.preventDefault();
    show(zoomed(shown(), event.deltaY > 0 ? STEP : 1 / STEP, now(), shareAt(event.clientX)));
  }

  function key(event) {
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => show(moved(shown(), -SHIFT, now())),
      ArrowRight: () => show(moved(shown(), SHIFT, now())),
      PageUp: () => show(moved(shown(), -1, now())),
      PageDown: () => show(moved(shown(), 1, now())),
      "+": () => show(zoomed(shown(), 1 / STEP, now())),
      "=": () => show(zoomed(shown(), 1 / STEP, now())),
      "-": () => show(zoomed(shown(), STEP, now())),
      Home: home,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  const twice = (event) => show(zoomed(shown(), 1 / STEP / STEP, now(), shareAt(event.clientX)));
  const heard = [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up], ["keydown", key], ["dblclick", twice]];
  for (const [name, act] of heard) element.addEventListener(name, act);
  element.addEventListener("wheel", wheel, {passive: false});
  return () => {
    for (const [name, act] of heard) element.removeEventListener(name, act);
    element.removeEventListener("wheel", wheel);
  };
}
