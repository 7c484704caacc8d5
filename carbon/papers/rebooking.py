"""The register before and after → the entries that differ, so that documents change what they are about and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from carbon.entries import Entries
from carbon.factor import FactorSteps
from carbon.factors.laboratory import by_laboratory
from carbon.ledger import Ledger, Writing
from carbon.papers.manual import BOOKED, Account, booked, unit_of
from carbon.papers.periods import bounds
from carbon.papers.register import Filed, Register
from carbon.papers.rows import SITE, Lab
from carbon.restate import anew

_AMOUNTS = (
    "amount", "energy", "estimated", "substituted", "covered_ns", "co2", "ch4", "n2o", "fgas", "mixed", "biogenic",
)  # fmt: skip
_COMPARED = ("span_ns", "factor", "meter", *_AMOUNTS)


def rebook(
    account: Account, ledger: Ledger, writing: Writing, before: Register, after: Register, rows: Sequence[Filed]
) -> Entries | None:
    """Return the entries `rows`, which stand in `after` only, make or change, None for none.

    Both states are computed by the rules of today, so a factor that has changed since moves nothing: that is a
    restatement's deed, and what one has restated keeps its factor. Raises as `booked`.
    """
    parts: list[Entries] = []
    for key in _touched(after, rows):
        old, new = (_made(account, register, key, writing) for register in (before, after))
        changed = [_as_restated(ledger, writing, old, part) for part in differences(old, new)]
        parts += changed
        parts += _elsewhere(ledger, key, changed)
    labs = [row for row in [*rows, *_replaced(after, rows)] if isinstance(row.document, Lab)]
    for key, stream in account.streams.items():
        mine = {f"{stream.asset}.{stream.carrier}", f"{SITE}.{stream.carrier}"}
        told = [row.document for row in labs if row.stream in mine and isinstance(row.document, Lab)]
        if told:
            parts += _metered(account, ledger, writing, after, key, told)
    return Entries.join(parts) if parts else None


def _replaced(register: Register, rows: Sequence[Filed]) -> list[Filed]:
    return [register.rows[row.document.replaces] for row in rows if row.document.replaces is not None]


def _metered(
    account: Account, ledger: Ledger, writing: Writing, register: Register, key: str, told: Sequence[Lab]
) -> Iterator[Entries]:
    """Yield what is booked of a metered stream in the days of laboratory reports, with the factors these lead to."""
    stream, labs = account.streams[key], register.in_force("lab")
    days = [bounds(lab.first, lab.last, account.zone) for lab in told]
    start, end = min(first for first, _ in days), max(last for _, last in days)
    for line, steps in account.rules_of(stream, "index"):
        numbers = {n for n, known in ledger.lines.items() if known.key == line.key}
        factors = by_laboratory(line, steps, stream, labs, account.zone)
        for before in ledger.read(start, end, numbers) if numbers else ():
            made = anew(before, factors, writing)
            mine = _of_laboratory(ledger, before) | _of_laboratory(ledger, made)
            other = mine & (made.factor != before.factor)
            if other.any():
                yield made.take(other)


def _of_laboratory(ledger: Ledger, entries: Entries) -> npt.NDArray[np.bool_]:
    """Return which entries rest on a laboratory: others keep the factor they were booked with."""
    return np.isin(entries.factor, [n for n, factor in ledger.factors.items() if factor.id.endswith("+lab")])


def _touched(register: Register, rows: Sequence[Filed]) -> list[str]:
    """Return the streams whose entries may change: of the rows, of what they replace, and of analysed fuels."""
    replaced = _replaced(register, rows)
    keys = {row.stream for row in [*rows, *replaced] if row.document.kind in BOOKED}
    labs = {row.stream for row in [*rows, *replaced] if isinstance(row.document, Lab)}
    if labs:
        for row in register.in_force(*BOOKED):
            carrier = row.stream.partition(".")[2]
            if labs & {row.stream, f"{SITE}.{carrier}"}:
                keys.add(row.stream)
    return sorted(keys)


def _made(account: Account, register: Register, key: str, writing: Writing) -> Entries | None:
    rows = register.of_stream(key, *BOOKED)
    stand = [row for row in rows if register.state(row.seq) == "in force"]
    if not stand:
        return None
    stream = account.stream(stand[0].document, unit_of(stand[0].document))
    return booked(account, stream, stand, register.in_force("lab"), writing)


def differences(old: Entries | None, new: Entries | None) -> Iterator[Entries]:
    """Yield the entries of `new` that `old` has not, and empty ones where `new` has none any more."""
    known = _rows(old)
    wanted = _rows(new)
    if new is not None:
        differing = [row for key, row in wanted.items() if key not in known or not _same(old, known[key], new, row)]
        if differing:
            yield new.take(np.array(differing))
    gone = [row for key, row in known.items() if key not in wanted]
    if old is not None and gone:
        yield emptied(old.take(np.array(gone)))


def _as_restated(ledger: Ledger, writing: Writing, old: Entries | None, made: Entries) -> Entries:
    """Return the entries with the factors that somebody has given the ones they follow in a restatement.

    Of an entry that is cut anew all parts have the factor of the whole.
    """
    if old is None:
        return made
    parts: dict[int, list[int]] = {}
    for row in range(len(made)):
        start, line = made.start_ns[row], made.line[row]
        held = (old.line == line) & (old.start_ns <= start) & (start < old.start_ns + old.span_ns)
        held &= old.factor == made.factor[row]
        for before in np.flatnonzero(held)[:1].tolist():
            versions = ledger.versions(int(line), int(old.start_ns[before]))
            stands = int(versions[-1].entry.factor[0]) if versions else int(made.factor[row])
            parts.setdefault(stands, []).append(row)
    found = [made]
    for factor, rows in parts.items():
        other = np.array([row for row in rows if made.factor[row] != factor], np.int64)
        if len(other):
            found.append(anew(made.take(other), FactorSteps.constant(ledger.factors[factor]), writing))
    return _replacing(found)


def _replacing(parts: Sequence[Entries]) -> Entries:
    """Return the entries of the first part, those of the others in the place of the same line and start."""
    joined = Entries.join(parts)
    last = {key: row for row, key in enumerate(zip(joined.line.tolist(), joined.start_ns.tolist(), strict=True))}
    return joined.take(np.array(list(last.values()), np.int64))


def _rows(entries: Entries | None) -> dict[tuple[int, int], int]:
    if entries is None:
        return {}
    keys = zip(entries.line.tolist(), entries.start_ns.tolist(), strict=True)
    return {key: row for row, key in enumerate(keys)}


def _same(old: Entries | None, at: int, new: Entries, row: int) -> bool:
    return old is not None and all(getattr(old, name)[at] == getattr(new, name)[row] for name in _COMPARED)


def emptied(entries: Entries) -> Entries:
    """Return the entries with nothing in them: what they stood for is withdrawn."""
    none = {name: np.zeros(len(entries), np.int64) for name in _AMOUNTS}
    kept = {f.name: getattr(entries, f.name) for f in fields(entries)}
    return Entries(**(kept | none))


def _elsewhere(ledger: Ledger, stream: str, changed: Sequence[Entries]) -> Iterator[Entries]:
    """Yield empty entries for what the changed ones said on lines the stream had under an earlier configuration."""
    if not changed:
        return
    current = {int(number) for part in changed for number in part.line}
    former = [n for n, line in ledger.lines.items() if line.stream == stream and n not in current]
    if not former:
        return
    starts = np.unique(np.concatenate([part.start_ns for part in changed]))
    for part in ledger.read(int(starts[0]), int(starts[-1]) + 1, former):
        stale = np.isin(part.start_ns, starts) & (part.covered_ns > 0)
        if stale.any():
            yield emptied(part.take(stale))
