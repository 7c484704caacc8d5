"""Keeps a long-running process small: what malloc would rather keep is given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import re
from pathlib import Path
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE: Final = 1 << 20  # arrays and buffers above this go back as soon as they are freed, and leave no holes
# Free memory at the heap's end above this goes back at once. Less, and each batch asks for its pages anew.
_SPARE: Final = 4 << 20
# A mapping of a file that is never written, with no page of its own, in /proc/PID/smaps (man 5 proc).
_FILE_ONLY: Final = re.compile(
    r"^(\w+)-(\w+) r-\S+ .* /.*\n(?:(?!\w+-)(?!Anonymous:).*\n)*Anonymous: +0 kB$", re.MULTILINE
)
_GIVE_BACK_S: Final = 10.0  # it takes milliseconds, and as many again to take what is used every second


def tame_malloc() -> None:
    """Fix glibc's thresholds before threads start; elsewhere (musl, macOS) there is nothing to tame."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _SPARE)
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
    """Return to the system what malloc holds free between what is used."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def let_go_of_code() -> None:
    """Unmap what was read of libraries so far, most of it for the start only; what is used on comes back page by page.

    Nothing is lost: mappings that may be written, or hold a page of their own, stay. But no other thread may
    load a library meanwhile: what was only mapped when it was looked at would be written to by now, and be lost.
    """
    maps = Path("/proc/self/smaps")
    libc = ctypes.CDLL(None)
    for start, end in _FILE_ONLY.findall(maps.read_text()) if maps.exists() else ():
        begin = int(start, 16)
        libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(int(end, 16) - begin), mmap.MADV_DONTNEED)


async def stay_small(every_s: float = _GIVE_BACK_S) -> None:
    """Give back for ever: what was needed once, to catch up after a write or an outage, would else be held for good."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(give_back)
