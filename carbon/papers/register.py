"""Documents of the ledger → what has been entered, by whom, and which of it stands."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from typing import Any, Final, Literal, Self

import orjson

from carbon.papers.rows import Document, dump, parse
from carbon.papers.units import scale
from config.errors import GatewayError

ROW: Final = "row"
APPROVAL: Final = "approval"
UNWRITTEN: Final = 10**12  # numbers from here on are of rows not yet written
State = Literal["in force", "pending", "replaced"]


@dataclass(frozen=True, slots=True)
class Filed:
    """One row as it was entered: number of its block, what it says, on which evidence, who entered and approved it."""

    seq: int
    document: Document
    evidence: str  # SHA-256 of the scan, or of the sheet where there is none
    origin: str  # file or request and place in it
    by: str
    approved_by: str = ""

    @property
    def stream(self) -> str:
        """Key of the stream it belongs to; a certificate has none."""
        carrier = getattr(self.document, "carrier", "")
        return f"{self.document.asset}.{carrier}" if carrier else ""

    def to_json(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        return {
            "type": ROW,
            "row": dump(self.document),
            "sha256": self.evidence,
            "origin": self.origin,
            "by": self.by,
            "approved_by": self.approved_by,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Return what `to_json` and the ledger made the data of; raises GatewayError."""
        problems: list[str] = []
        document = parse(said["row"], lambda column, message: problems.append(f"{column}: {message}"))
        if document is None:
            raise GatewayError(f"document {said['seq']} of the ledger cannot be understood: {problems[0]}")
        return cls(said["seq"], document, said["sha256"], said["origin"], said["by"], said["approved_by"])


def same_person(one: str, other: str) -> bool:
    """Return whether two names are the same but for case, width and spaces."""
    plain = ["".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (one, other)]
    return plain[0] == plain[1]


def identity(document: Document, evidence: str) -> str:
    """Return what two rows share that say the same on the same evidence; rows without a scan need only say the same.

    A sheet may come again with rows added, so its own hash does not make its rows different ones; nor do 2,500 kg
    written as 2.5 t.
    """
    said = dump(document)
    said.pop("replaces", None)
    said.pop("document", None)
    if "quantity" in said and "unit" in said:
        said["quantity"], said["unit"] = _plain(Decimal(said["quantity"]), said["unit"])
    key = orjson.dumps([said, evidence if document.document else ""], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(key).hexdigest()


def _plain(quantity: Decimal, unit: str) -> tuple[str, str]:
    """Return a quantity in tonnes, cubic metres or kilowatt hours; as it is where its unit is of none of them."""
    for wanted in ("t", "m3", "kWh"):
        with suppress(ValueError):
            return format((quantity * scale(unit, wanted)).normalize(), "f"), wanted
    return format(quantity.normalize(), "f"), unit


@dataclass(slots=True)
class Register:
    """All rows entered so far, in order; rows and approvals may be added."""

    rows: dict[int, Filed] = field(default_factory=dict)
    _approved: dict[int, str] = field(default_factory=dict)
    _replaced: dict[int, int] = field(default_factory=dict)  # by a row that stands
    _corrections: dict[int, int] = field(default_factory=dict)  # by one that stands or waits
    _streams: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # by key and kind
    _twins: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> Self:
        """Return the register of a ledger's documents; others' documents are left alone."""
        register = cls()
        for said in documents:
            if said.get("type") == ROW:
                register.add(Filed.from_json(said))
            elif said.get("type") == APPROVAL:
                for seq in said["approves"]:
                    register.approve(seq, said["by"])
        return register

    def add(self, filed: Filed) -> None:
        """Add a row; it stands at once where somebody approved it."""
        self.rows[filed.seq] = filed
        self._streams.setdefault((filed.stream, filed.document.kind), []).append(filed.seq)
        if (old := filed.document.replaces) is not None and old in self.rows:
            self._corrections[old] = filed.seq
            self._twins.pop(identity(self.rows[old].document, self.rows[old].evidence), None)
        self._twins[identity(filed.document, filed.evidence)] = filed.seq
        if filed.approved_by:
            self.approve(filed.seq, filed.approved_by)

    def approve(self, seq: int, by: str) -> None:
        """Let a row stand, and no longer what it replaces."""
        self._approved[seq] = by
        if (old := self.rows[seq].document.replaces) is not None:
            self._replaced[old] = seq

    def state(self, seq: int) -> State:
        """Return what a row counts for."""
        if seq in self._replaced:
            return "replaced"
        return "in force" if seq in self._approved else "pending"

    def approver(self, seq: int) -> str:
        """Return who approved a row, "" where nobody has."""
        return self._approved.get(seq, "")

    def correction_of(self, seq: int) -> int | None:
        """Return the row that replaces another, or waits to."""
        return self._corrections.get(seq)

    def twin(self, document: Document, evidence: str) -> int | None:
        """Return the row that says the same already and stands or waits."""
        return self._twins.get(identity(document, evidence))

    def in_force(self, *kinds: str) -> list[Filed]:
        """Return the rows that stand, in the order they were entered; of some kinds, default all."""
        stand = (row for row in self.rows.values() if self.state(row.seq) == "in force")
        return [row for row in stand if not kinds or row.document.kind in kinds]

    def pending(self) -> list[Filed]:
        """Return the rows that wait for approval."""
        return [row for row in self.rows.values() if self.state(row.seq) == "pending"]

    def streams(self) -> set[str]:
        """Return the keys of all streams there are rows of."""
        return {stream for stream, _ in self._streams}

    def of_stream(self, stream: str, *kinds: str) -> Iterator[Filed]:
        """Yield every row of a stream there ever was, of some kinds, in the order they were entered."""
        for seq in merge(*(self._streams.get((stream, kind), ()) for kind in kinds)):
            yield self.rows[seq]

    def expected(self, stream: str, *kinds: str) -> Iterator[Filed]:
        """Yield the rows of a stream that stand once all that waits is approved."""
        return (row for row in self.of_stream(stream, *kinds) if row.seq not in self._corrections)
