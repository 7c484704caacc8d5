"""What tests saw → JSON lines in a folder of their own, for the tables of the docs that are made of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parent.parent


def note(folder: Path, seen: object) -> None:
    """Add a line to the notes of this process; tests side by side do not write into each other's."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{os.getpid()}.jsonl").open("ab") as file:
        file.write(orjson.dumps(seen) + b"\n")


def noted(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield all that was noted, the newest process's last."""
    files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    yield from (orjson.loads(line) for path in files for line in path.read_bytes().splitlines())


def lines(cells: Iterator[tuple[str, ...]]) -> str:
    """Return rows of a Markdown table."""
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in cells)
