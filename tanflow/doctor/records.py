"""Log, history and ledger: whether they are as written and fit each other; dead letters; who lags; what is unproven."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from carbon.ledger import Ledger
from carbon.ledger.file import has_begun
from config.bindings import bind
from config.errors import GatewayError
from pipeline.clock import SECOND_NS
from pipeline.log.schema import FILE as LOG_FILE
from sinks.history_query import Reader
from tanflow.belonging import nothing_is_gone
from tanflow.commissioning import records as commissioning
from tanflow.doctor.place import read_only
from tanflow.doctor.visit import Finding, Visit
from tanflow.doctor.words import span
from tanflow.missing import missing
from tanflow.soundness import of_each_other, problems

_DAY_NS: Final = 86_400 * SECOND_NS
_ALL_UP_TO: Final = 64 << 20  # bytes that are read through without being asked
_LATE_S: Final = 3_600.0  # of the history, beyond what it cuts by
# Most of what is found says itself what is to be put back, or moved away: that stays possible, and can be undone.
_COPY_FIRST: Final = (
    "keep a copy of this directory before anything in it is changed; a backup is restored beside it: "
    "tanflow restore FILE --data …"
)


def sound(visit: Visit, *, thorough: bool = False) -> Iterator[Finding]:
    """Yield where log, history or ledger are damaged; everything is read where that is little, or asked for."""
    if visit.foreign:
        return
    if visit.reader is None:
        yield from _no_log(visit)
        return
    found = problems(visit.folder) if thorough or _size(visit.folder) < _ALL_UP_TO else [*_at_the_end(visit)]
    for words in [*found, *missing(visit.folder, visit.reader)]:
        yield Finding("records", words, _COPY_FIRST)


def _no_log(visit: Visit) -> Iterator[Finding]:
    """Yield why there is no log to read: a directory nobody has used yet is well."""
    do = "restore a backup: tanflow restore FILE --data …"
    try:
        nothing_is_gone(visit.folder)
    except GatewayError as error:
        yield Finding("log", str(error), do)
        return
    if (visit.folder / LOG_FILE).exists():
        if read_only(visit.folder):  # SQLite makes a file beside it even to read
            do = "it is not to blame: ask again once its file system can be written to"
        yield Finding("log", f"the log cannot be read: {visit.unreadable}", do)


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it went meanwhile
            size += path.stat().st_size
    return size


def _at_the_end(visit: Visit) -> Iterator[str]:
    try:
        if visit.reader is not None:
            visit.reader.read_raw(visit.reader.last_position() - 1)
        if has_begun(visit.folder):
            with Ledger.open(visit.folder, write=False) as ledger:
                ledger.cursor()
    except GatewayError as error:
        yield str(error)
        return
    yield from of_each_other(visit.folder)


def letters(visit: Visit) -> Iterator[Finding]:
    """Yield what was refused or given up within a day."""
    if visit.reader is None:
        return
    query = (
        "SELECT component, source = 'policy', count(*), min(at_ns), max(id) FROM dead WHERE at_ns > ? "
        "GROUP BY component, source = 'policy' ORDER BY count(*) DESC LIMIT 20"
    )
    for component, policy, count, since_ns, last in visit.reader.query(query, (visit.now_ns - _DAY_NS,)):
        ((reason,),) = visit.reader.query("SELECT reason FROM dead WHERE id = ?", (last,))
        if policy:
            do = "they are in the history: once the sink is well, tanflow resend --from … --to …"
            yield Finding(component, f"rows were given up: {reason}", do, since_ns)
        else:
            words = f"{count} dead letters in the last 24 h; the last: {reason}"
            yield Finding(
                component, words, "tanflow deadletters shows them; put right what sends or refuses them", since_ns
            )


def behind(visit: Visit) -> Iterator[Finding]:
    """Yield where history or ledger lag: the log cannot let go of what they have not taken."""
    if visit.reader is None or visit.process is None:
        return
    reader, patience_s = visit.reader, _LATE_S + visit.config.data.history.cut_s
    reached = (
        {"history": Reader(visit.folder / "history").cursor()} if (visit.folder / "history" / "raw").is_dir() else {}
    )
    if has_begun(visit.folder):
        with Ledger.open(visit.folder) as ledger:
            reached["ledger"] = ledger.cursor()[0]
    for name, position in reached.items():
        since_ns = reader.received_ns(position)
        if since_ns and (late_s := (visit.now_ns - since_ns) / SECOND_NS) > patience_s:
            said = visit.component(name).get("last_error", "") or "its log says why"
            words = f"it has taken nothing for {span(late_s)}: {reader.rows_after(position):,} rows wait for it"
            yield Finding(name, words, said, since_ns)


def unproven(visit: Visit) -> Iterator[Finding]:
    """Yield what a verifier will ask for."""
    if visit.foreign:
        return
    devices = list(bind(visit.config, visit.loaded.templates))
    register = commissioning.Register.of(visit.config, visit.now_ns)
    if words := commissioning.summary(visit.folder, devices, register):
        yield Finding("commissioning", words, "tanflow commission", wrong=False)
