"""`python -m tests.fuzz.one TARGET FOUND AGAIN ARG…`: one target under atheris; each new fault is a file in FOUND.

AGAIN is a program that does the same again: libFuzzer starts it to merge. An exception ends one input, not the run; the
same fault is kept once, told apart by where it was raised.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import targets


def main(name: str, found: Path, again: str, arguments: list[str]) -> None:
    targets.use_tools()
    import atheris

    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["collectors", "config", "pipeline", "carbon.papers"]):
        module = targets.module(name)
    size = f"-max_len={module.LARGEST}"
    atheris.Setup([again, size, *arguments], _kept(module.target, found))
    atheris.Fuzz()


def _kept(target: Callable[[bytes], None], found: Path) -> Callable[[bytes], None]:
    known: set[Any] = set()

    def run(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            frames = traceback.extract_tb(error.__traceback__)
            place = (type(error), frames[-1].filename, frames[-1].lineno)
            if place not in known:
                known.add(place)
                file = found / f"crash-{hashlib.sha256(data).hexdigest()[:12]}"
                file.write_bytes(data)
                file.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))

    return run


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
