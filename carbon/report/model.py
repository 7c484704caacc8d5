"""A ledger and its configuration → the report of a period: plain tables of exact integers, and words by key."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from carbon.ledger import Head, Ledger
from carbon.papers.register import Register
from carbon.report import evidence, places, restated, totals
from carbon.report.findings import findings
from carbon.report.places import Flow
from carbon.report.rounding import printed
from carbon.report.table import Table, Word
from carbon.report.tally import Tally
from config.errors import GatewayError
from config.model import Gateway


@dataclass(frozen=True, slots=True)
class Period:
    """A year or a month of it, on the site's clock."""

    year: int
    month: int | None
    zone: ZoneInfo

    @property
    def months(self) -> list[tuple[int, int]]:
        """The (year, month) it is made of."""
        return [(self.year, m) for m in ([self.month] if self.month else range(1, 13))]

    @property
    def edges_ns(self) -> list[int]:
        """Where its months begin, and where the last one ends."""
        year, month = self.months[-1]
        after = (year + month // 12, month % 12 + 1)
        return [int(datetime(y, m, 1, tzinfo=self.zone).timestamp()) * 10**9 for y, m in (*self.months, after)]

    @property
    def labels(self) -> list[str]:
        return [f"{year}-{month:02d}" for year, month in self.months]

    @property
    def first(self) -> date:
        return date(*self.months[0], 1)

    @property
    def last(self) -> date:
        year, month = self.months[-1]
        return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cover:
    """Who reports what, from which state of the ledger."""

    organisation: str
    boundary: str
    responsible: str
    base_year: int | None
    site: str
    region: str
    period: Period
    interval: str
    gwp: str
    fuels: str
    rule: str
    head: Head
    complete: bool  # False where the period goes on
    generated_ns: int
    version: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that is reported; every format is written from this alone."""

    cover: Cover
    figures: Mapping[str, int]  # exact totals [mg, mWh]
    tables: tuple[Table, ...]
    findings: tuple[Word | str, ...]
    flows: tuple[Flow, ...]

    def table(self, name: str) -> Table:
        """Return a table by its name; raises KeyError."""
        return {table.name: table for table in self.tables}[name]


def report(
    ledger: Ledger, gateway: Gateway, period: Period, *, as_of: int | None = None, now_ns: int | None = None,
    remarks: Sequence[str] = (), green: int | None = None,
) -> Report:  # fmt: skip
    """Return the report of a period as the ledger stands, or stood at block `as_of`; `remarks` are further findings,
    `green` the electricity bought under instruments without emissions [mWh], where the ledger's factors do not tell.

    Raises GatewayError for a block that is not there and for a period without any entry.
    """
    now = time.time_ns() if now_ns is None else now_ns
    head, known_ns = _head(ledger, as_of, now)
    edges = period.edges_ns
    tally = Tally.of(ledger.sums(edges, upto=head.seq), ledger.lines, ledger.factors, len(period.months))
    if not len(tally.line):
        raise GatewayError(
            f"the ledger has no entry in {_said(period)}; look at another period, or let it be booked first"
        )
    tables = _tables(ledger, gateway, period, tally, head, known_ns, green)
    named = {table.name: table for table in tables}
    found = findings(tally, named["quality"], named["meters"], named["factors"])
    tops = places.places(tally, fed_by(gateway))
    cover = _cover(gateway, period, head, now)
    return Report(cover, totals.figures(tally), tables, (*found, *remarks), tuple(places.flows(tops)))


def _tables(
    ledger: Ledger, gateway: Gateway, period: Period, tally: Tally, head: Head, known_ns: int, green: int | None
) -> tuple[Table, ...]:
    labels, edges = period.labels, period.edges_ns
    tops = places.places(tally, fed_by(gateway))
    scopes = totals.scopes(tally)
    shown = dict(zip((c.key for c in scopes.columns), printed(scopes).total, strict=True))
    fixed = tuple((m, value) for m in totals.METHODS if isinstance(value := shown[m], int))
    through = max(min(edges[-1], known_ns) - edges[0], 1)
    register = Register.of(ledger.documents())
    return (
        scopes,
        totals.iso(tally),
        totals.gases(tally),
        totals.gbt(tally),
        totals.months(tally, labels),
        totals.energy(tally),
        totals.energy_months(tally, labels),
        places.shares(tally, green),
        places.areas(tops),
        evidence.quality(tally, through),
        evidence.uncertainty(tally, ledger.meters),
        places.assets(tops),
        restated.table(restated.changes(ledger, edges, head.seq, period.zone), labels),
        evidence.factors(tally, fixed),
        evidence.meters(tally, ledger.meters, period.last),
        evidence.documents(register, head.seq, period.first, period.last),
        evidence.lines(tally, ledger.meters, labels),
    )


def fed_by(gateway: Gateway) -> dict[str, str]:
    """Return asset → the asset that feeds it."""
    assets = ((name, asset) for area in gateway.areas.values() for name, asset in area.assets.items())
    return {name: asset.fed_by for name, asset in assets if asset.fed_by}


def _head(ledger: Ledger, as_of: int | None, now_ns: int) -> tuple[Head, int]:
    """Return the block a report is made as of, and until when the ledger can know anything by then [ns]."""
    head = ledger.head()
    if as_of is None or as_of == head.seq:
        return head, now_ns
    if not 0 < as_of <= head.seq:
        raise GatewayError(f"the ledger has no block {as_of}; its last one is {head.seq}")
    return next((Head(block.seq, block.head), block.at_ns) for block in ledger.blocks(as_of - 1, as_of))


def _said(period: Period) -> str:
    return period.labels[0] if period.month else str(period.year)


def _cover(gateway: Gateway, period: Period, head: Head, now_ns: int) -> Cover:
    account, organisation = gateway.accounting, gateway.accounting.organisation
    return Cover(
        organisation=organisation.name or gateway.site.name,
        boundary=organisation.boundary,
        responsible=organisation.responsible,
        base_year=organisation.base_year,
        site=gateway.site.name,
        region=gateway.site.region,
        period=period,
        interval=account.interval,
        gwp=account.gwp,
        fuels=account.fuels,
        rule=gateway.factors.rule,
        head=head,
        complete=now_ns >= period.edges_ns[-1],
        generated_ns=now_ns,
        version=version("tanflow"),
    )
