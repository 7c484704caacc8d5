"""Text of gateway.yaml: a configuration that can run, or all its problems, each one printable line with its place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from config.errors import ConfigError
from config.load import MAX_PROBLEMS, load

LARGEST: Final = 6_000
_FOLDER: Final = tempfile.TemporaryDirectory(
    prefix="tanflow-fuzz-", dir="/dev/shm" if Path("/dev/shm").exists() else None
)


def target(data: bytes) -> None:
    path = Path(_FOLDER.name) / "gateway.yaml"
    path.write_bytes(data)
    try:
        found = load(path).warnings
    except ConfigError as error:
        found = tuple(error.problems)
        assert found
    assert len(found) <= MAX_PROBLEMS + 1
    lines = max(1, len(data.decode("utf-8", "replace").splitlines()), data.count(b"\n") + 1)
    for problem in found:
        assert 1 <= problem.line <= lines
        assert str(problem).isprintable()
        assert len(str(problem)) < 3_000
