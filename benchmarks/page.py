"""The demo's page in Chromium over loopback; out: how long until its figures and its charts are there, and its size.

python -m benchmarks.page [--rounds 7] [--no-write]

Cold: a browser that has never seen the page. Warm: the same address loaded anew. Time counts from the navigation.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.database import free_port, wait_for
from benchmarks.process import Program, python
from benchmarks.report import ROOT, heading, put_block, table
from tanflow.web.static_files import static_files

CHROMIUM: Final = "/usr/bin/chromium"
MAX_MS: Final = 1_000.0
MAX_BYTES: Final = 1_500_000
SETTLE_S: Final = 20.0  # until the demo has figures to show
# address → what tells that its figures are there, and that its chart is; "" where it has none
PAGES: Final = {
    "#/overview": (".strip .amount", ".curve canvas"),
    "#/assets": ("tr.asset", ""),
    "#/assets/compressor-1": (".readings", "canvas"),
    "#/alerts": (".page.alerts .card", ""),
    "#/carbon": (".page.carbon .card", ""),
    "#/gateway": (".page.gateway .card", ""),
}
_WATCH: Final = """([figures, chart]) => new Promise(done => {
  const seen = {};
  const look = () => {
    for (const [name, selector] of [["figures", figures], ["chart", chart || figures]])
      if (!(name in seen) && document.querySelector(selector)) seen[name] = performance.now();
    return Object.keys(seen).length === 2 ? done(seen) : requestAnimationFrame(look);
  };
  look();
})"""


@dataclass(frozen=True, slots=True)
class Ready:
    """Of one address: medians from the navigation [ms]; `longest` is that of the figures when cold."""

    address: str
    figures: float
    longest: float
    chart: float | None
    warm: float


def measure(browser: Browser, base: str, rounds: int) -> list[Ready]:
    """Load every page `rounds` times, cold and warm."""
    return [_ready(browser, base, address, rounds) for address in PAGES]


def _ready(browser: Browser, base: str, address: str, rounds: int) -> Ready:
    cold, warm = [], []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(base + address, wait_until="commit")
        cold.append(_seen(page, address))
        page.reload(wait_until="commit")
        warm.append(_seen(page, address))
        context.close()
    figures = [seen["figures"] for seen in cold]
    chart = statistics.median(seen["chart"] for seen in cold) if PAGES[address][1] else None
    return Ready(
        address, statistics.median(figures), max(figures), chart, statistics.median(s["figures"] for s in warm)
    )


def _seen(page: Page, address: str) -> dict[str, float]:
    found: dict[str, float] = page.evaluate(_WATCH, list(PAGES[address]))
    return found


def size() -> int:
    """Return the bytes of what one reader loads, unpacked: all files and the larger catalogue of words."""
    files = {path: len(f.plain) for path, f in static_files().items() if "LICENSE" not in path and "NOTICE" not in path}
    words = [files.pop(path) for path in list(files) if path.startswith("/words/")]
    return sum(files.values()) + max(words)


def block(found: list[Ready], rounds: int) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    head = ["page", "figures", "longest", "chart", "figures, warm", "target", "met"]
    rows = [
        [
            f"`{r.address}`",
            *(f"{ms:.0f} ms" if ms else "–" for ms in (r.figures, r.longest, r.chart, r.warm)),
            f"≤ {MAX_MS:.0f} ms",
            "yes" if r.figures <= MAX_MS else "**no**",
        ]
        for r in found
    ]
    packed = sum(len(f.packed or f.plain) for f in static_files().values())
    return f"""{heading("Page", "page")}

The demo's page in Debian's Chromium over loopback, factory, gateway and browser on one machine. Times from the
navigation to the first figures and to the drawn chart, medians of {rounds}; cold: a browser that has never seen it.

{table([head, *rows])}

One reader loads at most {size() / 1e6:.2f} MB (target: ≤ {MAX_BYTES / 1e6:.1f} MB), as sent with gzip at most \
{packed / 1e6:.2f} MB.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long the page takes.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    given = parser.parse_args()
    port = free_port()
    base = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory(prefix="tanflow-page-") as folder:
        command = python("-m", "tanflow", "demo", "--port", str(port), "--data", f"{folder}/data")
        with Program(command, Path(folder) / "demo.log") as program, sync_playwright() as playwright:
            wait_for(f"{base}api/health", program, 60)
            time.sleep(SETTLE_S)
            arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            found = measure(browser, base, given.rounds)
            browser.close()
    text = block(found, given.rounds)
    print(text)
    if not given.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "page", text)
    missed = [r.address for r in found if r.figures > MAX_MS] + (["size"] if size() > MAX_BYTES else [])
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
