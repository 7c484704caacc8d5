"""What tests saw of peers nobody here wrote → docs/INTEROP.md (`make interop`)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks.report import circumstances
from tests.noting import ROOT, lines, note, noted

_SEEN: Final = ROOT / ".interop"
_TABLE: Final = ROOT / "docs" / "INTEROP.md"
_HEAD: Final = """# Interoperability

Peers written by others, and what the tests saw of them. Written by `make interop`, never by hand.

{circumstances}

| protocol | peer | what was done | result |
|---|---|---|---|
"""


def saw(area: str, peer: str, what: str, result: str, count: int | None = None) -> None:
    """Note what was done with a peer and what came of it; `area`, `peer` and `what` name the row of the table.

    A `count` is added to that of others before it stands in the result, where `{count}` is.
    """
    note(_SEEN, {"area": area, "peer": peer, "what": what, "result": result, "count": count})


def table(seen_in: Path = _SEEN) -> str:
    """Return the table of all that was seen, the newest of each row."""
    rows: dict[tuple[str, str, str], str] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for seen in noted(seen_in):
        row = (seen["area"], seen["peer"], seen["what"])
        counts[row] += seen["count"] or 0
        rows[row] = seen["result"].replace("{count}", f"{counts[row]:,}")
    cells = ((*key, result) for key, result in sorted(rows.items()))
    return _HEAD.format(circumstances=circumstances()) + lines(cells)


if __name__ == "__main__":
    _TABLE.write_text(table(), "utf-8")
