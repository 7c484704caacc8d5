"""Nothing enters; docs/PERFORMANCE.md leaves, written wholly: every benchmark of its list is run, one after another.

`python -m benchmarks.run` (or `make bench`) runs those that measure speed, some 25 minutes; `--all` those that need a
browser, a serial line or an hour of data and more too; names run only these. What was not run, or failed, stands as it
was written before.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from typing import Final

from benchmarks.process import python
from benchmarks.report import ROOT, head, in_order

SPEED: Final = (
    "gateway",
    "whole_way",
    "throughput",
    "linear",
    "end_to_end",
    "modbus_read",
    "opcua",
    "mqtt",
    "line_protocol",
    "history",
)
OTHERS: Final = ("drain", "trend", "page", "isolation", "bus")
MOST_S: Final = 900.0  # one takes


def ended_well(name: str) -> bool:
    """Run a benchmark; one that hangs is interrupted, so that it ends what it started."""
    with subprocess.Popen(python("-m", f"benchmarks.{name}"), cwd=ROOT) as process:
        try:
            return process.wait(MOST_S) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(MOST_S / 10)
            except subprocess.TimeoutExpired:
                process.kill()
            return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Run benchmarks and write docs/PERFORMANCE.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join((*SPEED, *OTHERS))}")
    parser.add_argument("--all", action="store_true", help="also those that need a browser, a serial line or long")
    given = parser.parse_args()
    path, failed = ROOT / "docs" / "PERFORMANCE.md", []
    names = given.names or (SPEED + OTHERS if given.all else SPEED)
    if unknown := set(names) - {*SPEED, *OTHERS}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}")
    for name in names:
        began = time.monotonic()
        if not ended_well(name):
            failed.append(name)
        print(f"\n{name}: {time.monotonic() - began:.0f} s\n", file=sys.stderr, flush=True)
    head(path)
    in_order(path, (*SPEED, *OTHERS))
    missed = path.read_text("utf-8").count("**no**")
    print(f"docs/PERFORMANCE.md: {missed} targets missed", file=sys.stderr)
    # A missed target is told, not failed; a benchmark that ends with an error is one.
    sys.exit(f"ended with an error: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
