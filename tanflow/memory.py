"""Keeps a long-running process small: what malloc and the loader would rather keep is given back to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MADV_DONTNEED: Final = 4
_MAPS: Final = Path("/proc/self/maps")
_LARGE: Final = 1 << 18  # arrays and buffers above this go back as soon as they are freed


def tame_malloc() -> None:
    """Fix glibc's thresholds before threads start; elsewhere (musl, macOS) there is nothing to tame."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, 1)  # what one thread frees another may use; they share the interpreter's lock anyway


def hurry() -> None:
    """While starting: nearly all that is made now stays, and collections would look at all of it again and again."""
    gc.disable()


def settle() -> None:
    """After start-up: give back what only it needed; what is left stays, so collections need not look at it."""
    gc.collect()
    gc.freeze()
    gc.enable()
    give_back()


def leave() -> None:
    """Before the process ends: let everything be collected again; DuckDB reports what is not as leaked."""
    gc.unfreeze()
    gc.enable()


def give_back() -> None:
    """Return to the system what malloc holds free between what is used, and code that need not be in memory."""
    libc = ctypes.CDLL(None)
    trim = getattr(libc, "malloc_trim", None)
    if trim:
        trim(0)
    with suppress(OSError):  # no /proc, no Linux
        _drop_code(libc)


def _drop_code(libc: ctypes.CDLL) -> None:
    """Unmap the pages of libraries' code: a write of the history runs 30 MB of it for a twentieth of a second.

    Code is never written to, so a page that is run again is what it was; mostly it still stands in the page cache.
    """
    for line in _MAPS.read_text("utf-8", "surrogateescape").splitlines():
        span, rights, *_, name = line.split(maxsplit=5)
        if rights == "r-xp" and ".so" in name:
            start, end = (int(address, 16) for address in span.split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
