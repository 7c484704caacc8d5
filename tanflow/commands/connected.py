"""Samples of all points → the table of `tanflow check --connect`, or JSON; and whether all is well."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from config.bindings import bind
from config.load import Loaded
from pipeline.quality import describe
from tanflow.commands.options import plain_table
from tanflow.commissioning.sampling import Sample, sample

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def read_once(loaded: Loaded, deadline_s: float, device: str = "") -> list[Sample]:
    """Read a sample of every point (of one device, where it is named), with progress on standard error."""
    chosen = [d for d in bind(loaded.gateway, loaded.templates) if device in ("", d.key)]
    which = f"{device}, every point" if device else "every point"
    ways = ", ".join(sorted({d.device.connection for d in chosen}))
    err.print(f"reads {which} once, over {ways}; at most {deadline_s:g} s", markup=False)
    if process := owner(loaded.path.parent / loaded.gateway.data.dir):
        err.print(
            f"a gateway (process {process}) is running: devices that serve one master only, and serial ports, are"
        )
        err.print("busy with it; look at its page instead, or stop it meanwhile")

    def told(done: int, total: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} points ")
            sys.stderr.flush()

    found = asyncio.run(sample(loaded, chosen, deadline_s, told))
    if sys.stderr.isatty():
        err.print()
    return found


def show(samples: Sequence[Sample], *, as_json: bool) -> bool:
    """Print the samples; return whether every point brought a value."""
    failed = [s for s in samples if s.failed]
    if as_json:
        told = {"points": [_told(s) for s in samples], "failed": len(failed)}
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return not failed
    table = plain_table("device", "point", "value", "unit", "quality", "raw", "after")
    for one in samples:
        if one.failed and not one.came:
            continue
        cells = (one.device.key, one.name, _value(one), one.point.unit, describe(one.quality), one.raw)
        table.add_row(*map(Text, cells), f"{one.after_s:.1f} s")
    if table.row_count:
        out.print(table)
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in failed:
        reasons.setdefault((one.device.key, one.why), []).append(one.name)
    for (device, why), names in reasons.items():
        listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        out.print(f"{device}: {listed}: {why}", markup=False)
    out.print(f"{len(samples) - len(failed)} of {len(samples)} points answered")
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
        "why": one.why or None,
    }


def owner(data: Path) -> int | None:
    """Return the process that owns a data directory and lives; its lock is left alone."""
    try:
        process = int((data / "owner").read_text())
    except (OSError, ValueError):
        return None
    return process if Path(f"/proc/{process}").exists() else None
