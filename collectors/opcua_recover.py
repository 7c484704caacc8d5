"""What was accepted and what came again → what is missing of each item; what became of it → rows and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from asyncua import ua

from collectors.opcua_history import History, Missed
from collectors.opcua_intake import Intake, Item
from collectors.rows import Rows
from pipeline.meter import NEVER

_HOUR_NS: Final = 3_600_000_000_000


def missed_of(intake: Intake, known_ns: npt.NDArray[np.int64], now_ns: int, backfill_h: float) -> list[Missed]:
    """Return the stretches to read back: of items that had a value before and show a newer one now, or none yet.

    One that never had a value begins with its first. None reaches back further than `backfill_h`.
    """
    first_ns = intake.first_ns
    wanted = (known_ns != NEVER) & ((first_ns == 0) | (first_ns > known_ns))
    wanted[list(intake.missing)] = False
    after_ns = np.maximum(known_ns, now_ns - int(backfill_h * _HOUR_NS))
    return [
        Missed(item, intake.items[item].node, int(after_ns[item]), int(first_ns[item]))
        for item in np.flatnonzero(wanted).tolist()
        if not first_ns[item] or first_ns[item] > after_ns[item]
    ]


def conclude(
    intake: Intake, rows: Rows, missed: Sequence[Missed], known_ns: npt.NDArray[np.int64], now_ns: int
) -> None:
    """Say of each device all of whose points are whole again over what time that is."""
    for m in missed:
        intake.covered(m.item, int(known_ns[m.item]), m.after_ns)
    whole = np.ones(len(intake.items), np.bool_)
    whole[list(intake.missing)] = False
    whole[[m.item for m in missed if not m.complete]] = False
    for device in sorted({intake.items[m.item].device for m in missed}):
        mine = np.flatnonzero(intake.device == device)
        since_ns = int(known_ns[mine].max())
        if whole[mine].all() and since_ns < now_ns:
            rows.recovered(device, now_ns, now_ns - since_ns)


def told(history: History, items: Sequence[Item]) -> str:
    """Return what a person should know of a reading back; nothing where all is well."""
    refused = [m for m in history.missed if m.refused]
    if refused:
        status, count = Counter(m.refused for m in refused).most_common(1)[0]
        name = ua.StatusCode(status).name
        if len(refused) == len(history.missed):
            return f"the server keeps no history for us ({name}): what was missed stays missing"
        example = items[next(m.item for m in refused if m.refused == status)].name
        return f"no history of {len(refused)} of {len(history.missed)} points ({name} for {count}, e.g. {example})"
    short = [m for m in history.missed if m.open and not history.late]
    if short:
        example = items[short[0].item].name
        return f"the history of {len(short)} of {len(history.missed)} points does not reach up to now, e.g. {example}"
    if history.late:
        return f"reading back took too long and was ended after {history.values} values: the rest stays missing"
    return ""
