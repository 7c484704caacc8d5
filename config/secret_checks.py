"""A configuration → files of secrets and private keys in it that every user of the machine may read."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from config.model import Gateway
from config.plant_checks import Finding, Loc
from config.strict import Secret

_KEYS: Final = ("key", "user_key")
_OF_A_CONTAINER: Final = Path("/run/secrets")  # mounted for it alone, readable by all users it does not have


def doubt_secrets(gateway: Gateway) -> Iterator[Finding]:
    """Yield secrets and keys that others may read; paths are absolute. Whoever is of the file's group is meant to."""
    for loc, path in _files(gateway, ()):
        if _for_all(path):
            yield loc, f"every user of this machine may read {path}; chmod o-rwx {path}, and put another secret in it"


def _files(block: Any, loc: Loc) -> Iterator[tuple[Loc, Path]]:
    if isinstance(block, Secret):
        if block.file is not None:
            yield loc, block.file
    elif isinstance(block, dict | BaseModel):
        for name, value in block.items() if isinstance(block, dict) else block:
            if isinstance(value, Path) and name in _KEYS:
                yield (*loc, name), value
            elif (*loc, name) != ("areas",):  # which hold none
                yield from _files(value, (*loc, name))
    elif isinstance(block, tuple):
        for number, value in enumerate(block):
            yield from _files(value, (*loc, number))


def _for_all(path: Path) -> bool:
    """Return whether others may read a file, and go through all folders it lies in."""
    try:
        path = path.resolve()
        if path.is_relative_to(_OF_A_CONTAINER) or not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    except (OSError, RuntimeError, ValueError):  # that it cannot be read is told by whoever reads it
        return False
