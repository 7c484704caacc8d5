"""Sheets and requests of a person → documents and their entries in the ledger, all of them or none."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

from carbon.ledger import Ledger, Reason, Writing
from carbon.papers import evidence
from carbon.papers.evidence import Scans
from carbon.papers.manual import Account
from carbon.papers.rebooking import rebook
from carbon.papers.register import APPROVAL, UNWRITTEN, Filed, Register, same_person
from carbon.papers.rows import SITE, Document, Lab, parse
from carbon.papers.sheets import Sheet
from carbon.papers.vetting import Vetting
from config.errors import ConfigError, Problem, Rejected

MAX_PROBLEMS: Final = 200
_NAME_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Who enters, and who else looked at it; without the second the rows wait for approval."""

    by: str
    approved_by: str = ""

    def __post_init__(self) -> None:
        for name in (self.by, self.approved_by):
            if len(name) > _NAME_MAX or not name.isprintable() or name != name.strip():
                raise Rejected(f"{name[:40]!r} is not the name of a person")
        if not self.by:
            raise Rejected("say who enters it: by")
        if self.approved_by and same_person(self.by, self.approved_by):
            raise Rejected(f"{self.by} cannot approve what {self.by} entered; it takes a second person")


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of a sheet: its rows as filed, and how many entries of the ledger they changed."""

    filed: tuple[Filed, ...]
    pending: bool
    entries: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """A row on its way in: its line, what it says and the hash of its evidence."""

    line: int
    document: Document
    evidence: str


@dataclass(frozen=True)
class Documents:
    """The documents of a data directory: `enter` and `approve` write, `register` reads."""

    account: Account
    data: Path
    now_ns: Callable[[], int] = field(default=time.time_ns)

    def register(self) -> Register:
        """Return all that was entered; raises GatewayError where there is no ledger yet."""
        with Ledger.open(self.data) as ledger:
            return Register.of(ledger.documents())

    def enter(self, sheet: Sheet, content: bytes, person: Person, folder: Path | None = None) -> Entered:
        """Enter all rows of a sheet; scans it names lie in `folder`, or were handed in before (sha256:…).

        Raises ConfigError with every mistake of the sheet, and then nothing has been entered.
        """
        problems: list[Problem] = []
        scans = Scans(self.data, folder)
        rows = list(self._parsed(sheet, content, scans, problems))
        with Ledger.open(self.data, write=True, now_ns=self.now_ns) as ledger, ledger.writing() as writing:
            filed = self._filed(sheet, rows, person, Register.of(ledger.documents()), problems)
            if problems:
                raise ConfigError(_in_order(problems))
            if not filed:
                raise ConfigError([sheet.problem(1, "", "holds no rows below its names of columns")])
            for kept in (content, *scans.contents.values()):
                evidence.keep(self.data, kept)
            before = Register.of(ledger.documents())
            done = [replace(row, seq=writing.document(row.to_json())) for row in filed]
            reason = Reason("manual", by=person.by, approved_by=person.approved_by)
            entries = self._book(ledger, writing, before, done, reason) if person.approved_by else 0
        return Entered(tuple(done), not person.approved_by, entries, tuple(self._notes(done)))

    def approve(self, seqs: Collection[int], by: str) -> Entered:
        """Let rows that wait stand; raises Rejected for one that does not wait or was entered by the same person."""
        approver = Person(by)
        with Ledger.open(self.data, write=True, now_ns=self.now_ns) as ledger, ledger.writing() as writing:
            register = Register.of(ledger.documents())
            rows = [self._approvable(register, seq, approver.by) for seq in sorted(set(seqs))]
            if not rows:
                raise Rejected("say which documents: their numbers")
            self._bookable(register, rows)
            writing.document({"type": APPROVAL, "approves": [row.seq for row in rows], "by": approver.by})
            by = ", ".join(dict.fromkeys(row.by for row in rows))
            reason = Reason("manual", by=by, approved_by=approver.by)
            entries = self._book(ledger, writing, register, rows, reason)
        return Entered(tuple(rows), False, entries, tuple(self._notes(rows)))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def _parsed(self, sheet: Sheet, content: bytes, scans: Scans, problems: list[Problem]) -> Iterable[_Row]:
        own = evidence.sha256(content)
        for row in sheet.rows:

            def tell(column: str, message: str, line: int = row.line) -> None:
                problems.append(sheet.problem(line, column, message))

            document = parse(row.cells, tell)
            if document is None:
                continue
            try:
                digest = scans.digest(document.document) if document.document else own
            except ValueError as error:
                tell("document", str(error))
                continue
            yield _Row(row.line, document, digest)

    # ── vetting ───────────────────────────────────────────────────────────────────────────────────

    def _filed(
        self, sheet: Sheet, rows: Sequence[_Row], person: Person, register: Register, problems: list[Problem]
    ) -> list[Filed]:
        """Return the rows as they would be filed; each is held against all before it, those of the sheet too."""
        today = datetime.fromtimestamp(self.now_ns() / 1e9, self.account.zone).date()
        vetting = Vetting(self.account, register, today)
        filed = []
        after = max(register.rows, default=0) + UNWRITTEN
        for number, row in enumerate(rows, after):
            said = Filed(number, row.document, row.evidence, _origin(sheet, row.line), person.by, person.approved_by)
            mistakes = list(vetting.mistakes(row.document, row.evidence))
            problems += [sheet.problem(row.line, column, message) for column, message in mistakes]
            if not mistakes:
                register.add(said)
                filed.append(said)
        return filed

    def _approvable(self, register: Register, seq: int, by: str) -> Filed:
        row = register.rows.get(seq)
        if row is None or register.state(seq) != "pending":
            state = f"is {register.state(seq)}" if row else "does not exist"
            raise Rejected(f"document {seq} {state}; `tanflow enter --list` shows what waits for approval")
        if same_person(row.by, by):
            raise Rejected(f"{by} entered document {seq}; it takes a second person to approve it")
        return row

    def _bookable(self, register: Register, rows: Sequence[Filed]) -> None:
        """Raise Rejected for a row the configuration has no place for any more."""
        vetting = Vetting(self.account, register, date.max)
        for row in rows:
            for _, message in vetting.fits_account(row.document):
                raise Rejected(f"document {row.seq} can no longer be approved: {message}")

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    def _book(self, ledger: Ledger, writing: Writing, before: Register, rows: Sequence[Filed], reason: Reason) -> int:
        """Write the entries that rows which stand now change, as one block; return how many."""
        after = Register.of(ledger.documents())
        try:
            entries = rebook(self.account, ledger, writing, before, after, rows)
        except (ValueError, LookupError, OverflowError) as error:
            raise Rejected(f"the documents cannot be booked together: {error}") from error
        if entries is None:
            return 0
        text = f"document{'s' if len(rows) > 1 else ''} {ranges([row.seq for row in rows])}, {rows[0].origin}"
        writing.entries(entries, replace(reason, text=text))
        return len(entries)

    def _notes(self, rows: Sequence[Filed]) -> Iterable[str]:
        for row in rows:
            if isinstance(row.document, Lab):
                metered = [s.key for s in self.account.streams.values() if _analysed(row, s.asset, s.carrier)]
                if metered:
                    yield (
                        f"document {row.seq}: what is booked of {', '.join(metered)} in its days takes the calorific "
                        "value, and what is booked of them later"
                    )


def _analysed(lab: Filed, asset: str, carrier: str) -> bool:
    return lab.stream in (f"{asset}.{carrier}", f"{SITE}.{carrier}")


def _origin(sheet: Sheet, line: int) -> str:
    problem = sheet.problem(line, "", "")
    return f"{sheet.file} {problem.path}" if sheet.worksheet else f"{sheet.file}:{line}"


def ranges(numbers: Sequence[int]) -> str:
    """Return e.g. 12–17, 20."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


def _in_order(problems: list[Problem]) -> list[Problem]:
    ordered = sorted(dict.fromkeys(problems), key=lambda p: p.line)
    more = len(ordered) - MAX_PROBLEMS
    if more <= 0:
        return ordered
    last = ordered[MAX_PROBLEMS]
    return [*ordered[:MAX_PROBLEMS], Problem(last.file, last.line, "sheet", f"and {more} more mistakes")]
