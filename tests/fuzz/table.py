"""Figures of fuzz runs (tests/data/fuzz/runs.json) → the table between `<!-- fuzzing -->` marks of docs/security.md."""

from __future__ import annotations

import json
from typing import Any, Final

from benchmarks.report import commit, day, put_block
from tests.fuzz.targets import NAMES, ROOT, SEEDS, seeds

RUNS: Final = SEEDS / "runs.json"
PAGE: Final = ROOT / "docs" / "security.md"
_HEAD: Final = (
    "| target | seconds | CPU s | executions | edges (API: operations) | seeds | bytes | found | day | commit |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def line(told: dict[str, Any]) -> str:
    """Return a run as a row of the table, with the seeds that are kept now."""
    if told["target"] in NAMES:
        kept = [seed.stat().st_size for seed in seeds(told["target"])]
        told = told | {"corpus_files": len(kept), "corpus_bytes": sum(kept)}
    names = ("seconds", "cpu_seconds", "executions", "edges", "corpus_files", "corpus_bytes", "found", "day", "commit")
    cells = [told.get(name, "") for name in names]
    return f"| `{told['target']}` | {' | '.join(f'{c:,}' if isinstance(c, int) else str(c) for c in cells)} |"


def write(told: dict[str, Any]) -> None:
    """Note a run in place of an earlier one of its target, and write the table anew."""
    runs = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    runs[told["target"]] = told | {"day": day(), "commit": commit()}
    RUNS.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
    show()


def show() -> None:
    """Write the table anew."""
    put_block(PAGE, "fuzzing", table())


def table() -> str:
    """Return the newest run of each target, as docs/security.md shows them."""
    runs = json.loads(RUNS.read_text())
    return "\n".join([_HEAD, *(line(runs[name]) for name in (*NAMES, "api") if name in runs)])


if __name__ == "__main__":
    show()
