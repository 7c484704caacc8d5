"""A row against the account and what was entered before → what cannot be booked, with the column that says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Final

from pydantic import ValidationError

from carbon.entries import MICRO
from carbon.factors.laboratory import by_laboratory, heat_value
from carbon.factors.refrigerants import gas_factor
from carbon.market import certificates
from carbon.papers.manual import BOOKED, NORMAL, Account, amount, unit_of
from carbon.papers.register import UNWRITTEN, Register
from carbon.papers.rows import SITE, Certificate, Delivery, Document, Index, Invoice, Lab, Stock
from carbon.papers.units import Mistaken, reference_of, scale
from carbon.streams import Stream
from config.carriers import CARRIERS, about
from config.errors import GatewayError
from config.explain import nearest
from config.processes import Process

Mistake = tuple[str, str]  # column ("" for the row), sentence
_MOST: Final = 1e10  # kg of CO₂e or kWh of one document; 64 bits of milligrams hold 900 times that


@dataclass(frozen=True)
class Vetting:
    """Knows the account, what was entered, and the day it is at the site."""

    account: Account
    register: Register
    today: date

    def mistakes(self, document: Document, evidence: str) -> Iterator[Mistake]:
        """Yield everything wrong with a row that is right in itself."""
        begin = getattr(document, "first", None) or getattr(document, "last", None)
        begin = document.cancelled_on if isinstance(document, Certificate) else begin
        if begin is not None and begin > self.today:
            yield {"index": "to", "certificate": "cancelled_on"}.get(document.kind, "from"), f"{begin} has not come yet"
        yield from self._before(document, evidence)
        account = list(self.fits_account(document))
        yield from account
        if document.kind in BOOKED and not account:
            yield from self._fits_stream(document)

    def fits_account(self, document: Document) -> Iterator[Mistake]:
        """Yield what the configuration has no asset, line, unit or factor for."""
        if document.asset != SITE and document.asset not in (names := self._assets()):
            yield "asset", f"there is no asset '{document.asset}' in the configuration{nearest(document.asset, names)}"
            return
        found = list(self._carrier(document))
        yield from found or self._by_kind(document)

    def _assets(self) -> set[str]:
        return {name for area in self.account.config.areas.values() for name in area.assets}

    # ── what was entered before ───────────────────────────────────────────────────────────────────

    def _before(self, document: Document, evidence: str) -> Iterator[Mistake]:
        twin = self.register.twin(document, evidence)
        if twin is not None and twin != document.replaces:
            origin = self.register.rows[twin].origin
            known = f"was entered already as document {twin} ({origin}, {self.register.state(twin)})"
            known = f"says the same as {origin}" if twin >= UNWRITTEN else known
            yield "", f"{known}; if it is really another one, give its document_number"
        if document.replaces is not None:
            yield from (("replaces", message) for message in self._replaced(document, document.replaces))

    def _replaced(self, document: Document, seq: int) -> Iterator[str]:
        old = self.register.rows.get(seq)
        if old is None:
            yield f"there is no document {seq}; `tanflow enter --list` shows their numbers"
            return
        latest = self.register.correction_of(seq)
        if latest is not None:
            yield f"document {seq} is replaced by document {latest} already; correct that one"
        if old.document.kind != document.kind:
            yield f"document {seq} is of kind {old.document.kind}; a correction is of the same kind"

    # ── carrier and stream ────────────────────────────────────────────────────────────────────────

    def _carrier(self, document: Document) -> Iterator[Mistake]:
        if isinstance(document, Stock):
            try:
                gas_factor(document.carrier, self.account.config.accounting.gwp)
            except ValueError as error:
                yield "carrier", str(error)
        elif isinstance(document, Delivery) and (process := self._process(document)):
            if document.asset != process.asset:
                yield "asset", f"process '{document.carrier}' is booked on asset '{process.asset}'"
        elif isinstance(document, Delivery | Invoice | Index | Lab):
            known = about(document.carrier)
            if not known.scope or (isinstance(document, Lab) and not known.fuel):
                fitting = [c for c, facts in CARRIERS.items() if facts.fuel or (facts.scope and document.kind != "lab")]
                what = "a fuel" if isinstance(document, Lab) else "a fuel or energy the account counts"
                yield "carrier", f"'{document.carrier}' is not {what}{nearest(document.carrier, fitting)}"

    def _process(self, document: Delivery) -> Process | None:
        return self.account.config.accounting.process.get(document.carrier)

    def _by_kind(self, document: Document) -> Iterator[Mistake]:
        if isinstance(document, Certificate):
            yield from _certificate(document)
        elif isinstance(document, Lab):
            yield from self._lab(document)
        elif isinstance(document, Invoice):
            yield from self._invoice(document)
        else:
            yield from self._booked(document)

    def _booked(self, document: Document) -> Iterator[Mistake]:
        key = f"{document.asset}.{getattr(document, 'carrier', '')}"
        if metered := self._metered(key):
            counted = f"{key} is metered by {metered.device or metered.key} and would count twice"
            yield "asset", f"{counted}; enter what a supplier counted as kind invoice"
            return
        meters = self.account.config.accounting.meters
        if isinstance(document, Index) and document.meter is not None and document.meter not in meters:
            yield "meter", f"there is no meter '{document.meter}' in the register{nearest(document.meter, meters)}"
            return
        try:
            self._computed(document, self.account.stream(document, unit_of(document)))
        except (ValueError, LookupError, GatewayError) as error:
            yield _column(error), str(error)

    def _fits_stream(self, document: Document) -> Iterator[Mistake]:
        """Yield what contradicts the rows of the same stream."""
        key = f"{document.asset}.{getattr(document, 'carrier', '')}"
        others = (r for r in self.register.expected(key, *BOOKED) if r.seq != document.replaces)
        old = next(others, None)
        if old is None:
            return
        unit = unit_of(old.document)
        if unit_of(document) != unit:
            yield "unit", f"{key} is kept in {unit} since document {old.seq}; write a unit that converts to it"
        elif (old.document.kind == "index") != isinstance(document, Index):
            yield "kind", f"{key} is entered as kind {old.document.kind} (document {old.seq}); both would count twice"
        elif isinstance(document, Index):
            readings = [(r.seq, r.document) for r in (old, *others) if isinstance(r.document, Index)]
            yield from _index(document, readings)

    def _metered(self, key: str) -> Stream | None:
        known = self.account.streams.values()
        return next((s for s in known if f"{s.asset}.{s.carrier}" == key and s.role != "export"), None)

    def _computed(self, document: Document, stream: Stream) -> None:
        """Raise where the stream has no factor or the amount no meaning."""
        value = document.lost if isinstance(document, Stock) else Decimal(getattr(document, "quantity", 0))
        units = amount(document, stream.unit, value * self.account.ratio(document)) / MICRO
        if reference_of(document) is not None and stream.reference is None:
            raise Mistaken("celsius", "goes with a volume of gas only")
        rules = self.account.rules_of(stream, document.kind)
        if not rules:
            raise Mistaken("carrier", f"the account has no line for {stream.carrier}")
        labs = [r for asset in (SITE, stream.asset) for r in self.register.expected(f"{asset}.{stream.carrier}", "lab")]
        steps = [by_laboratory(line, known, stream, labs, self.account.zone) for line, known in rules]
        most = max(max(f.total, f.biogenic, f.kwh, 1.0) for known in steps for f in known.factors)
        if units * most > _MOST:
            written = f"{value:f} {getattr(document, 'unit', '')}"
            raise Mistaken("quantity", f"{written} is more than any site uses; look at the unit")

    # ── kinds that make no entries ────────────────────────────────────────────────────────────────

    def _invoice(self, document: Invoice) -> Iterator[Mistake]:
        key = f"{document.asset}.{document.carrier}"
        counted = [s for s in self.account.streams.values() if s.carrier == document.carrier]
        mine = counted if document.asset == SITE else [s for s in counted if s.asset == document.asset]
        by_hand = any(self.register.expected(key, "index"))
        if not mine and not by_hand:
            yield "asset", f"nothing meters {key}; enter what an unmetered asset took as kind delivery"
            return
        try:
            amount(document, mine[0].unit if mine else unit_of(document), document.quantity)
        except ValueError as error:
            yield _column(error), str(error)

    def _lab(self, document: Lab) -> Iterator[Mistake]:
        """Yield what is wrong with a heat value, in itself and for what is kept of the fuel."""
        gas = about(document.carrier).state == "gas"
        per = document.unit.partition("/")[2].strip()
        unit = next((unit for unit in ("t", "m3") if _converts(per, unit)), None)
        if unit is None:
            yield "unit", f"'{document.unit}' is not a heat value; write e.g. GJ/t, or MJ/m3 with celsius and kpa"
            return
        try:
            value = heat_value(document, unit, NORMAL if gas else None)
        except ValueError as error:
            yield _column(error), str(error)
            return
        if not 0.1 <= value <= 60_000:
            yield "ncv", f"{document.ncv:f} {document.unit} is {value:g} kWh/{unit}; no fuel has that"
        for key, kept in self._kept(document):
            if kept != unit and kept != "kWh":
                yield "unit", f"{key} is kept in {kept}; give the heat value per {kept}"

    def _kept(self, lab: Lab) -> Iterator[tuple[str, str]]:
        """Yield (stream, unit) of everything a laboratory speaks for."""
        mine = self.account.streams.values() if lab.asset == SITE else self._of(lab.asset)
        yield from ((s.key, s.unit) for s in mine if s.carrier == lab.carrier and s.role != "export")
        for key in self.register.streams():
            asset, _, carrier = key.partition(".")
            if carrier == lab.carrier and lab.asset in (SITE, asset):
                yield from ((key, unit_of(row.document)) for row in islice(self.register.expected(key, *BOOKED), 1))

    def _of(self, asset: str) -> list[Stream]:
        return [s for s in self.account.streams.values() if s.asset == asset]


def _converts(unit: str, wanted: str) -> bool:
    try:
        scale(unit, wanted)
    except ValueError:
        return False
    return True


def _index(document: Index, readings: list[tuple[int, Index]]) -> Iterator[Mistake]:
    for seq, other in readings:
        if other.last == document.last:
            yield "to", f"document {seq} is a reading of the same day; give replaces: {seq} to correct it"
            return
        shown, before = document.quantity * scale(document.unit, unit_of(document)), other.last < document.last
        earlier = other.quantity * scale(other.unit, unit_of(other))
        if (shown < earlier) if before else (shown > earlier):
            known = f"{other.quantity:f} {other.unit} on {other.last} (document {seq})"
            message = f"does not fit {known}: an index counts up; enter an exchanged meter as an asset of its own"
            yield "quantity", f"{document.quantity:f} {document.unit} on {document.last} {message}"
            return


def _certificate(document: Certificate) -> Iterator[Mistake]:
    try:
        as_certificate(document, "")
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            column = str(detail["loc"][0]) if detail["loc"] else "first_id"
            names = {"produced": "production_month", "cancelled": "cancelled_on"}
            yield names.get(column, column), detail["msg"].removeprefix("Value error, ")
    if f"{document.cancelled_on:%Y-%m}" < document.production_month:
        message = f"{document.cancelled_on} lies before it was produced in {document.production_month}"
        yield "cancelled_on", message


def as_certificate(document: Certificate, evidence: str) -> certificates.Certificate:
    """Return a certificate as the market-based method allocates it; raises ValidationError."""
    return certificates.Certificate(
        id=document.document_number or f"{document.first_id}–{document.last_id}",
        kind=document.scheme,
        market=document.market,
        technology=document.technology,
        produced=document.production_month,
        mwh=float(document.mwh),
        first_id=document.first_id,
        last_id=document.last_id,
        cancelled=document.cancelled_on,
        cancelled_for=document.cancelled_for,
        expires=document.expires,
        document_hash=evidence,
    )


def _column(error: Exception) -> str:
    return error.column if isinstance(error, Mistaken) else "unit"
