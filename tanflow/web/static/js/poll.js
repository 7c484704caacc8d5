// Work that is done now and again every so often, while the page is seen and the gateway answers.

// poll(work, 10_000) → stop; work(signal) may be async. A failure is told once to `failed` and tried again.
export function poll(work, every_ms, failed = () => {}) {
  const control = new AbortController();
  let timer = 0;
  async function round() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        await work(control.signal);
      } catch (error) {
        if (control.signal.aborted) return;
        failed(error);
      }
    }
    if (!control.signal.aborted) timer = setTimeout(round, every_ms);
  }
  const seen = () => { if (!document.hidden) round(); };
  document.addEventListener("visibilitychange", seen);
  round();
  const stop = () => {
    control.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
  stop.now = round;
  return stop;
}
