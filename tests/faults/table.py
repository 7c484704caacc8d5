"""Faults that were done to a gateway, and what became of its readings → docs/RELIABILITY.md (`make faults`)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import circumstances
from tests.faults.stages import Verdict
from tests.noting import ROOT, lines, note, noted

_SEEN: Final = ROOT / ".faults"
_TABLE: Final = ROOT / "docs" / "RELIABILITY.md"
GROUPS: Final = ("process", "disk", "database", "broker", "Modbus", "OPC UA", "clock", "limits")
_HEAD: Final = """# Reliability

What was done to a running gateway, and what became of the readings. Written by {command}, never by hand.

{circumstances}

**Real** are the gateway, each a process of its own (but on the days clocks change), InfluxDB 1.x, Mosquitto, the OPC
UA server (node-opcua) and what is done to them: signals 9, limits of the kernel, files torn on the disk, a tmpfs that
is full, and, in the full dose as root, an ext4 on a loop device whose writes stop at once or that turns read-only.
404, 413, type conflicts and retention are InfluxDB's own answers. **Injected** are, by small libraries loaded before
the gateway, the step before which it is killed, calls that fail, the disk that is only pretended to be full, the time
of day and names that are gone; by proxies of ours before the real servers, all other answers of InfluxDB, the silent
line to the broker and what is wrong with Modbus answers, whose meters are simulated. Where a row says so, the power
cut is a **model** of ours: of all that was not synced any part is gone or half there, in any order. No real disk was
cut from its power.

Every reading carries a sequence number or an energy index, and the sets of them are compared at every stage: published
to the broker, accepted in the log, in the history's Parquet files, in a real InfluxDB 1.x. **Accepted** are rows that
entered the log from devices. **Missing** and **doubled** are summed over all stages and expected to be 0. **Energy
error** is that of the worst meter against its own index [kWh]; 0.001 is the meter's resolution. **Back after** is the
time from the end of the fault to the first new reading accepted. What a device did not say is a gap row with its cause.
"""
_COLUMNS: Final = "| fault | accepted | missing | doubled | energy error | back after | gap rows by cause, and more |\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table: what was done, what became of the readings, how long until the next one [s], what else."""

    group: str  # one of GROUPS
    what: str
    verdict: Verdict
    back_s: float | None = None
    more: str = ""


def happened(fault: Fault) -> None:
    """Note a fault and what came of it; `group` and `what` name the row of the table."""
    assert fault.group in GROUPS, fault.group
    verdict = fault.verdict
    causes = ", ".join(f"{name} {count:,}" for name, count in sorted(verdict.gaps.items()))
    note(_SEEN, {
        "group": fault.group, "what": fault.what, "accepted": verdict.accepted, "missing": verdict.missing,
        "doubled": verdict.doubled, "error": verdict.energy_error_kwh, "back": fault.back_s,
        "more": "; ".join(filter(None, (causes, fault.more))),
    })  # fmt: skip


def table(seen_in: Path = _SEEN, *, full: bool = True) -> str:
    """Return the document of all that happened, the newest of each row; `full` says how often it was done."""
    rows = {(seen["group"], seen["what"]): seen for seen in noted(seen_in)}
    command = "`make faults`" if full else "`python -m tests.faults.table` from the small dose of `make test`"
    parts = [_HEAD.format(command=command, circumstances=circumstances())]
    for group in GROUPS:
        mine = [seen for (of, _), seen in rows.items() if of == group]
        if mine:
            cells = ((
                seen["what"], f"{seen['accepted']:,}", f"{seen['missing']:,}", f"{seen['doubled']:,}",
                "–" if seen["error"] is None else f"{seen['error']:.6f}",
                "–" if seen["back"] is None else f"{seen['back']:.1f} s", seen["more"] or "–",
            ) for seen in mine)  # fmt: skip
            parts.append(f"## {group[0].upper()}{group[1:]}\n\n{_COLUMNS}|---|---|---|---|---|---|---|\n{lines(cells)}")
    return "\n".join(parts)


if __name__ == "__main__":
    _TABLE.write_text(table(full="--full" in sys.argv[1:]), "utf-8")
