"""Energy attribute certificates as documents → those that may be counted, and a sentence for each that may not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carbon.entries import MICRO
from carbon.local_time import first_day, month_number
from config.strict import Strict

# How many months it lives, that of production counted. GEC: two years from that month (国能发新能规〔2024〕67号).
# GO: 18 months after production (Directive (EU) 2018/2001, article 19(3)). Others: as their `expires` says.
LIFE_MONTHS: Final = {"GEC": 24, "GO": 19}
_ONE_PER_MWH: Final = ("GEC", "GO", "REGO", "REC")
# Guarantees of origin are recognised among the members of the European Economic Area (same article, paragraph 9).
_EEA: Final = frozenset((
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
    "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
))  # fmt: skip
_ID: Final = re.compile(r"(.*?)(\d+)(\D*)")


class Certificate(Strict):
    """Certificates of one month's production that were cancelled together, as the registry's statement names them."""

    id: Annotated[str, StringConstraints(min_length=1)]  # of the statement
    kind: Literal["GEC", "GO", "REGO", "REC", "I-REC", "other"]
    market: Annotated[str, StringConstraints(min_length=2)]  # country, e.g. CN, GB, DE
    technology: str = ""
    produced: Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    mwh: Annotated[float, Field(gt=0, le=1e6)]
    first_id: Annotated[str, StringConstraints(pattern=r"\d")]
    last_id: Annotated[str, StringConstraints(pattern=r"\d")]
    issued: date | None = None
    cancelled: date | None = None
    cancelled_for: str = ""  # whose consumption
    expires: date | None = None  # last day it can be cancelled, where the kind's rule does not say
    kg_per_kwh: Annotated[float, Field(ge=0, lt=5)] = 0.0
    document_hash: str = ""

    @model_validator(mode="after")
    def _one_series(self) -> Self:
        first, last = _split(self.first_id), _split(self.last_id)
        if first[0] != last[0] or first[2] != last[2] or first[1] > last[1]:
            raise ValueError("first_id and last_id must be of one series, the first not after the last")
        held = last[1] - first[1] + 1
        if self.kind in _ONE_PER_MWH and held != self.mwh:
            raise ValueError(f"the numbers hold {held} certificates of 1 MWh, but mwh says {self.mwh:g}")
        return self

    @property
    def name(self) -> str:
        """Return what tells it from others: one statement may hold several series of numbers."""
        numbers = f"{self.first_id}–{self.last_id}"
        return self.id if numbers in self.id else f"{self.id} {numbers}"

    @property
    def amount(self) -> int:
        """Return its energy [mWh]."""
        return round(self.mwh * 1_000 * MICRO)

    @property
    def month(self) -> int:
        """Return the month of production, counted from January 1970."""
        return month_number(self.produced)

    @property
    def last_day(self) -> date | None:
        """Return the last day it could be cancelled, None where nobody says."""
        if self.expires is not None or self.kind not in LIFE_MONTHS:
            return self.expires
        return first_day(self.month + LIFE_MONTHS[self.kind]) - timedelta(days=1)


def markets_of(region: str) -> frozenset[str]:
    """Return the markets whose certificates may cover consumption in a region of the grid, e.g. CN-GD → CN."""
    country = region.partition("-")[0]
    return _EEA if country in _EEA else frozenset({country})


def accept(
    certificates: Iterable[Certificate], region: str, reporter: str = "", deadline: date | None = None
) -> tuple[list[Certificate], list[str]]:
    """Return (certificates that meet the quality criteria, in the order of production; what is wrong with others).

    Cancelled, for this reporter and by the deadline; not expired; of the market of the consumption; used once.
    The vintage is the allocation's matter. Source: GHG Protocol Scope 2 Guidance (2015), chapter 7.
    """
    kept: list[Certificate] = []
    findings: list[str] = []
    for certificate in sorted(certificates, key=lambda c: (c.month, c.cancelled or date.max, c.id)):
        why = _refusal(certificate, region, reporter, deadline) or _used(certificate, kept)
        if why:
            findings.append(f"certificates {certificate.name} are not counted: {why}")
            continue
        kept.append(certificate)
        if reporter and not certificate.cancelled_for:
            findings.append(
                f"certificates {certificate.name} do not say for whom they were cancelled; ask the registry"
            )
        if certificate.last_day is None:
            findings.append(f"certificates {certificate.name}: nobody says when they expire; enter `expires`")
    return kept, findings


def _refusal(certificate: Certificate, region: str, reporter: str, deadline: date | None) -> str:
    return _not_retired(certificate, reporter, deadline) or _not_usable(certificate, region)


def _not_retired(certificate: Certificate, reporter: str, deadline: date | None) -> str:
    if certificate.cancelled is None:
        return "they are not cancelled; have the registry cancel them and enter the date"
    if deadline is not None and certificate.cancelled > deadline:
        return f"cancelled on {certificate.cancelled}, after the report's deadline of {deadline}"
    whose = certificate.cancelled_for
    if reporter and whose and whose.casefold() != reporter.casefold():
        return f"cancelled for {whose}, not for {reporter}"
    return ""


def _not_usable(certificate: Certificate, region: str) -> str:
    cancelled = certificate.cancelled or date.max
    if certificate.last_day is not None and cancelled > certificate.last_day:
        return f"expired on {certificate.last_day}, cancelled on {cancelled}"
    if cancelled < (certificate.issued or first_day(certificate.month)):
        return "cancelled before they were issued; one of the dates is wrong"
    if certificate.market not in markets_of(region):
        return f"of the market {certificate.market}, which is not that of consumption in {region}"
    return ""


def _used(certificate: Certificate, kept: Sequence[Certificate]) -> str:
    prefix, first, suffix = _split(certificate.first_id)
    last = _split(certificate.last_id)[1]
    for other in kept:
        if (other.kind, other.market) != (certificate.kind, certificate.market):
            continue
        begins, ends = _split(other.first_id), _split(other.last_id)
        if (begins[0], begins[2]) == (prefix, suffix) and begins[1] <= last and first <= ends[1]:
            return f"some of these numbers are those of {other.name} already"
    return ""


def _split(number: str) -> tuple[str, int, str]:
    """Return (text before, the last run of digits, text after) of a certificate's number."""
    found = _ID.fullmatch(number)
    if found is None:
        raise ValueError(f"'{number}' has no digits")
    return found[1], int(found[2]), found[3]
