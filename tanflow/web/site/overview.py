"""/api/overview: what the site takes and emits now, today against yesterday and against what is expected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon.accountant import Unbooked
from carbon.cells import QUARTER_NS
from carbon.entries import MICRO
from carbon.local_time import midnight_ns
from config.errors import Rejected
from pipeline.clock import SECOND_NS
from tanflow.account import Stretch
from tanflow.web.alerts.alert_list import AlertList
from tanflow.web.encode import dumps
from tanflow.web.parameters import only
from tanflow.web.site.course import Curves, activity, amounts, by_meter, course, of_site, quarters
from tanflow.web.site.expected import between, expected, like_days
from tanflow.web.site.intensities import Intensities
from tanflow.web.site.rates import HOUR_NS, Meter, Rates, meters, rates
from tanflow.web.site.shared import Shared
from tanflow.web.site.site_totals import Prices, electricity_shares, emitted, energy, totals

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

logger = logging.getLogger("tanflow.api")

_KEEP_S: Final = 3.0
_LEAST_NS: Final = 180 * SECOND_NS  # of a running quarter, before it says what power is


def routes(gateway: Gateway, alerts: AlertList) -> list[Route]:
    """Return the route of the overview."""
    overview, shared = Overview(gateway, alerts), Shared[bytes](gateway.asking, _KEEP_S)

    async def answer(request: Request) -> Response:
        only(request.query_params)
        return Response(await shared.get("", overview.compute), media_type="application/json")

    return [Route("/api/overview", answer)]


@dataclass(frozen=True, slots=True)
class _Days:
    """Where yesterday, today and tomorrow begin, and the moment of yesterday at which clocks showed what they show."""

    yesterday_ns: int
    today_ns: int
    now_ns: int
    then_ns: int

    @classmethod
    def at(cls, now_ns: int, zone: ZoneInfo) -> _Days:
        now = datetime.fromtimestamp(now_ns // SECOND_NS, zone)
        yesterday = now.date() - timedelta(days=1)
        then_ns = int((now - timedelta(days=1)).timestamp()) * SECOND_NS  # the same clock time, by the zone's rules
        return cls(midnight_ns(yesterday, zone), midnight_ns(now.date(), zone), now_ns, then_ns)


class Overview:
    """Computes the overview of one gateway."""

    def __init__(self, gateway: Gateway, alerts: AlertList) -> None:
        self._gateway, self._alerts = gateway, alerts
        self._zone = ZoneInfo(gateway.config.site.zone)
        self._meters = meters(gateway)
        self._site = of_site(self._meters, gateway.books)
        self._prices = Prices.of(gateway.config)
        self._expected: tuple[date, Curves | None] | None = None
        self._intensities = Intensities(gateway)

    async def compute(self) -> bytes:
        """Return the overview as JSON."""
        gateway = self._gateway
        now_ns = gateway.clock.now_ns()
        days = _Days.at(now_ns, self._zone)
        curve = await self._course(days.yesterday_ns, now_ns)
        usual = await self._usual(datetime.fromtimestamp(now_ns // SECOND_NS, self._zone).date())
        unbooked = gateway.accountant.unbooked()
        return await asyncio.to_thread(lambda: dumps(self._answer(days, curve, usual, unbooked)))

    async def _course(self, start_ns: int, end_ns: int) -> Curves:
        """Return float64[meters, quarters] the amounts of each meter of the site."""
        series = [meter.amount for meter in self._site]
        answer = await amounts(self._gateway, series, start_ns, end_ns, QUARTER_NS)
        return by_meter(answer, self._site, start_ns, QUARTER_NS, quarters(start_ns, end_ns))

    async def _usual(self, today: date) -> Curves | None:
        """Return float64[3, quarters of a day] energy [kWh] once a day: the expected, the lowest and the highest."""
        if self._expected is None or self._expected[0] != today:
            self._expected = today, await self._of_like_days(today)
        return self._expected[1]

    async def _of_like_days(self, today: date) -> Curves | None:
        found = []
        for day in like_days(today):
            start_ns = midnight_ns(day, self._zone)
            try:
                one = await self._course(start_ns, start_ns + 24 * HOUR_NS)
            except Rejected as error:  # more meters than a day of quarters can be read of at once
                logger.warning("no expected course: %s", error)
                return None
            found.append(course(one, self._site, self._gateway.books))
        known = np.array(found)
        usual = expected(known)
        return None if usual is None else np.vstack([usual, between(known)])

    def _answer(self, days: _Days, found: Curves, usual: Curves | None, unbooked: Unbooked) -> dict[str, Any]:
        gateway, books = self._gateway, self._gateway.books
        account, now = gateway.account, rates(gateway, self._meters, unbooked, days.now_ns)
        split = quarters(days.yesterday_ns, days.today_ns)
        today = account.stretch(unbooked, days.today_ns, days.now_ns)
        whole = account.stretch(unbooked, days.yesterday_ns, days.today_ns)
        rate = account.of(unbooked, now.activity(books, days.now_ns))
        kwh = course(found, self._site, books)
        so_far = totals(today, self._prices)
        shares = electricity_shares(today.tally)
        before = totals(self._until_then(days, found, unbooked), self._prices)
        return {
            "now_ns": days.now_ns,
            **self._now(now, rate),
            "today": so_far,
            "yesterday": {**before, "whole_day": totals(whole, self._prices)},
            "expected": _expected(usual, days),
            "curve": {
                "today": _points(kwh[split:], days.today_ns, days.now_ns),
                "yesterday": _points(kwh[:split], days.yesterday_ns, days.today_ns),
            },
            "own_share": shares["own"],
            "green_share": shares["green"],
            "alerts": self._alerts.counts(),
            "intensities": self._intensities.told(),
        }

    def _until_then(self, days: _Days, found: Curves, unbooked: Unbooked) -> Stretch:
        """Return the account of yesterday up to the present clock time: whole intervals, and quarters of the last."""
        books = self._gateway.books
        upto_ns = books.interval_of(days.then_ns)
        first, end = ((at - days.yesterday_ns) // QUARTER_NS for at in (upto_ns, days.then_ns))
        part = found[:, first : end + 1].copy()
        if part.size:
            part[:, -1] *= (days.then_ns - days.yesterday_ns - end * QUARTER_NS) / QUARTER_NS
        more = activity(part, self._site, books, upto_ns)
        return self._gateway.account.stretch(unbooked, days.yesterday_ns, upto_ns, more)

    def _now(self, now: Rates, rate: Stretch) -> dict[str, Any]:
        """Return the present power and emissions; where a meter of what comes in is silent, the whole is unknown."""
        silent = [m.stream.key for m in self._site if not np.isfinite(now.value[m.number])]
        blind = any(m.stream.key in silent for m in self._site if m.stream.role == "boundary")
        tally = rate.tally
        known = len(tally.line) > 0 and not blind
        made = [now.value[m.number] for m in self._site if m.stream.role == "own"]
        return {
            "power_kw": energy(tally) if known else None,
            "co2_kg_per_h": {m: emitted(tally, m) if known else None for m in ("location", "market")},
            "own_kw": sum(made) if made and np.isfinite(made).all() else None,
            "carriers": _by_carrier(self._site, now, tally_kwh(rate)),
            "silent": silent,
        }


def tally_kwh(rate: Stretch) -> dict[str, float]:
    """Return the energy [kWh] of each stream, counted once."""
    tally = rate.tally
    found = tally.by_line(tally.values["energy"], tally.energy_of("boundary", "own", "export"))
    return {tally.lines[n].stream: value / MICRO for n, value in found.items()}


def _by_carrier(site: Sequence[Meter], now: Rates, kwh: dict[str, float]) -> dict[str, float | None]:
    """Return the power of each carrier that comes in or is made [kW]."""
    found: dict[str, float | None] = {}
    for meter in site:
        if meter.stream.role != "export":
            power, before = kwh.get(meter.stream.key), found.get(meter.stream.carrier, 0.0)
            known = power is not None and before is not None and np.isfinite(now.value[meter.number])
            found[meter.stream.carrier] = before + power if known and power is not None and before is not None else None
    return found


def _points(kwh: Curves, start_ns: int, end_ns: int) -> list[list[float | int | None]]:
    """Return [time, mean power in kW] of each quarter; of one that has hardly begun nothing."""
    found: list[list[float | int | None]] = []
    for number, value in enumerate(kwh.tolist()):
        begin = start_ns + number * QUARTER_NS
        lasted = min(QUARTER_NS, end_ns - begin)
        if lasted >= _LEAST_NS:
            found.append([begin, value * HOUR_NS / lasted if value == value else None])
    return found


def _expected(usual: Curves | None, days: _Days) -> dict[str, Any] | None:
    """Return the expected course of today and its band [kW], and what it comes to by now [kWh]."""
    if usual is None:
        return None
    course = usual[0]
    begin = days.today_ns + np.arange(len(course)) * QUARTER_NS
    part = np.clip((days.now_ns - begin) / QUARTER_NS, 0.0, 1.0)
    so_far = course[part > 0] * part[part > 0]
    rows = [
        [t, *(v if v == v else None for v in kw)]
        for t, kw in zip(begin.tolist(), (4.0 * usual.T).tolist(), strict=True)
    ]
    return {
        "energy_kwh": float(so_far.sum()) if np.isfinite(so_far).all() else None,
        "curve": [row[:2] for row in rows],
        "band": [[row[0], *row[2:]] for row in rows],
    }
