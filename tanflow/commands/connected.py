"""Samples of all points → the table of `tanflow check --connect`, or JSON; and whether all is well.

A serial line has one master: while a gateway runs on the configured data directory, its lines are left to it.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from config.bindings import BoundDevice, bind
from config.line_checks import is_line
from config.load import Loaded
from pipeline.log.directory import owner
from pipeline.quality import describe
from tanflow.commands.options import plain_table
from tanflow.commissioning.sampling import Sample, sample

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_LEFT: Final = "read by the running gateway: see tanflow tail"


def read_once(loaded: Loaded, deadline_s: float, device: str = "") -> list[Sample]:
    """Read a sample of every point (of one device, where it is named), with progress on standard error."""
    chosen = [d for d in bind(loaded.gateway, loaded.templates) if device in ("", d.key)]
    which = f"{device}, every point" if device else "every point"
    asked, left = _not_of(owner(loaded.path.parent / loaded.gateway.data.dir), loaded, chosen)
    if asked:
        ways = ", ".join(sorted({d.device.connection for d in asked}))
        err.print(f"reads {which} once, over {ways}; at most {deadline_s:g} s", markup=False)

    def told(done: int, total: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} points ")
            sys.stderr.flush()

    found = asyncio.run(sample(loaded, asked, deadline_s, told))
    if sys.stderr.isatty():
        err.print()
    return found + [Sample(d.device.connection, d, name, why=_LEFT, left=True) for d in left for name in d.points]


def _not_of(
    process: int | None, loaded: Loaded, devices: Sequence[BoundDevice]
) -> tuple[list[BoundDevice], list[BoundDevice]]:
    """Return the devices to ask, and those on lines that a running gateway is the one master of."""
    lines = {name for name, c in loaded.gateway.connections.items() if process is not None and is_line(c)}
    left = [d for d in devices if d.device.connection in lines]
    if process is not None:
        err.print(f"a gateway (process {process}) is running: devices that serve one master only are busy with it")
    if left:
        ways = ", ".join(sorted({d.device.connection for d in left}))
        err.print(f"leaves {ways} to it: a second master would spoil its readings", markup=False)
    return [d for d in devices if d.device.connection not in lines], left


def show(samples: Sequence[Sample], *, as_json: bool) -> bool:
    """Print the samples; return whether every point brought a value."""
    failed = [s for s in samples if s.failed]
    if as_json:
        left = sum(s.left for s in samples)
        told = {"points": [_told(s) for s in samples], "failed": len(failed), "left": left}
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return not failed
    table = plain_table("device", "point", "value", "unit", "quality", "raw", "took")
    for one in samples:
        if not one.came:
            continue
        cells = (one.device.key, one.name, _value(one), one.point.unit, describe(one.quality), one.raw)
        table.add_row(*map(Text, cells), "–" if math.isnan(one.took_s) else f"{1000 * one.took_s:.0f} ms")
    if table.row_count:
        out.print(table)
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in samples:
        if not one.why:
            continue
        reasons.setdefault((one.device.key, one.why), []).append(one.name)
    for (device, why), names in reasons.items():
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        out.print(f"{device}: {listed}: {why}", markup=False)
    left = sum(s.left for s in samples)
    remark = f", {left} left to the running gateway" if left else ""
    out.print(f"{len(samples) - len(failed) - left} of {len(samples)} points answered{remark}")
    return not failed


def _value(one: Sample) -> str:
    return one.text or ("–" if math.isnan(one.value) else f"{one.value:.8g}")


def _told(one: Sample) -> dict[str, Any]:
    return {
        "connection": one.connection,
        "device": one.device.key,
        "point": one.name,
        "value": one.text or (one.value if math.isfinite(one.value) else None),
        "unit": one.point.unit,
        "quality": describe(one.quality) if one.came else None,
        "raw": one.raw or None,
        "after_s": round(one.after_s, 3) if one.came else None,
        "took_s": None if math.isnan(one.took_s) else round(one.took_s, 4),
        "why": one.why or None,
    }
