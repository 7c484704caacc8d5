"""What files ought to hold → the files written, or with --check compared with what stands in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def generate(
    files: Callable[[], Mapping[Path, str]], arguments: Sequence[str], program: str, remade_by: str = ""
) -> int:
    """Write the files that are not as they ought to be; with --check only tell them. Return the exit code.

    `remade_by` is the command a person is told to run, `python -m <program>` where nothing else is said.
    """
    if list(arguments) not in ([], ["--check"]):
        print(f"usage: python -m {program} [--check]", file=sys.stderr)
        return 2
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if arguments:
            command = remade_by or f"python -m {program}"
            print(f"{Path(*path.parts[-2:])} is not what it is made from; run: {command}", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if stale and arguments else 0
