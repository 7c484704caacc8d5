"""What a test saw of a peer nobody here wrote → a line for the table of interoperability (see scripts/interop)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import orjson

FOLDER: Final = Path(__file__).parent.parent / ".interop"


def saw(area: str, peer: str, what: str, result: str) -> None:
    """Note what was done with a peer and what came of it; `area`, `peer` and `what` name the row of the table."""
    FOLDER.mkdir(exist_ok=True)
    line = orjson.dumps({"area": area, "peer": peer, "what": what, "result": result})
    with (FOLDER / f"{os.getpid()}.jsonl").open("ab") as file:
        file.write(line + b"\n")
