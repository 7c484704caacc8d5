"""What tests saw of peers nobody here wrote → docs/INTEROP.md (`make interop`)."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

_ROOT: Final = Path(__file__).parent.parent
_SEEN: Final = _ROOT / ".interop"
_TABLE: Final = _ROOT / "docs" / "INTEROP.md"
_HEAD: Final = """# Interoperability

Peers written by others, and what the tests saw of them. Written by `make interop`, never by hand.

{when}, {where}.

| protocol | peer | what was done | result |
|---|---|---|---|
"""


def saw(area: str, peer: str, what: str, result: str, count: int | None = None) -> None:
    """Note what was done with a peer and what came of it; `area`, `peer` and `what` name the row of the table.

    A `count` is added to that of others before it stands in the result, where `{count}` is.
    """
    _SEEN.mkdir(exist_ok=True)
    line = orjson.dumps({"area": area, "peer": peer, "what": what, "result": result, "count": count})
    with (_SEEN / f"{os.getpid()}.jsonl").open("ab") as file:
        file.write(line + b"\n")


def table() -> str:
    """Return the table of all that was seen, the newest of each row."""
    rows: dict[tuple[str, str, str], str] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for seen in _noted():
        row = (seen["area"], seen["peer"], seen["what"])
        counts[row] += seen["count"] or 0
        rows[row] = seen["result"].replace("{count}", f"{counts[row]:,}")
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    head = _HEAD.format(
        when=when, where=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    cells = ((*key, result) for key, result in sorted(rows.items()))
    return head + "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in cells)


def _noted() -> Iterator[dict[str, Any]]:
    files = sorted(_SEEN.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    yield from (orjson.loads(line) for path in files for line in path.read_bytes().splitlines())


if __name__ == "__main__":
    _TABLE.write_text(table(), "utf-8")
