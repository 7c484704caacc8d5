"""Electricity bought, certificates and contracts → how much of every interval each of them covers, in whole mWh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.apportion import apportion, apportion_groups
from carbon.entries import MICRO, Integers
from carbon.local_time import first_day, midnight_ns, month_name, months, ordinals, wall_clock
from carbon.market.certificates import Certificate
from config.accounting import Contract
from config.errors import GatewayError
from pipeline.batch import Times

Vintage = Literal["year", "month"]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Profile:
    """When an instrument's power was generated.

    start_ns int64[k], ascending: beginnings of the account's intervals · amount int64[k] [mWh].
    """

    start_ns: Times
    amount: Integers


@dataclass(frozen=True, slots=True)
class Instruments:
    """What covers electricity, in the order of the market-based method: certificates, then contracts as written.

    A supplier's own rate is a contract with the share it supplies, written last. profiles: by id of a certificate or
    name of a contract, needed where the account matches by the hour.
    """

    certificates: Sequence[Certificate] = ()  # accepted ones only
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*(certificate.name for certificate in self.certificates), *self.contracts]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise GatewayError(f"instruments are told apart by their names; given twice: {', '.join(twice)}")


@dataclass(frozen=True, slots=True)
class Allocation:
    """n intervals of electricity bought [mWh]: bought = Σ covered + uncovered, each int64[n] and none below 0.

    covered: by name of a certificate or contract · surplus [mWh]: what of each one found nothing to cover.
    """

    bought: Integers
    covered: Mapping[str, Integers]
    uncovered: Integers
    surplus: Mapping[str, int]
    findings: tuple[str, ...]


def allocate(
    start_ns: Times, bought: Integers, instruments: Instruments, zone: ZoneInfo, *,
    vintage: Vintage = "year", hourly: bool = False,
) -> Allocation:  # fmt: skip
    """Share instruments out over electricity bought: bought int64[n] ≥ 0 [mWh] in intervals from start_ns int64[n].

    A certificate covers its month of production, in proportion to what every interval bought; by `vintage` year what
    is left of all certificates then covers the rest of its calendar year. A contract covers a share, or an amount a
    month. hourly: only what was generated in an interval counts there, min(bought, generated); a surplus of one never
    covers another. Nothing covers more than was bought and no instrument more than it holds. The rows must hold whole
    calendar years: a certificate is used once. Source: GHG Protocol Scope 2 Guidance (2015), chapters 6 and 7; hourly
    as its revision proposes (2025).
    """
    if int(bought.min(initial=0)) < 0:
        raise ValueError("electricity bought is never negative; what is given away is counted apart")
    work = _Work(start_ns, bought, zone)
    for certificate in instruments.certificates:
        if hourly:
            work.by_profile(certificate.name, certificate.amount, instruments.profiles.get(certificate.name))
        else:
            work.in_bulk(certificate.name, certificate.amount, work.month == certificate.month)
    for certificate in instruments.certificates if vintage == "year" and not hourly else ():
        work.in_bulk(
            certificate.name, work.surplus.get(certificate.name, 0), work.month // 12 == certificate.month // 12
        )
    for name, contract in instruments.contracts.items():
        if hourly and contract.mwh_per_month is not None:
            work.by_profile(name, None, instruments.profiles.get(name), work.during(contract))
        elif contract.mwh_per_month is not None:
            work.monthly(name, contract)
        else:
            work.share(name, contract.share or 0.0, work.during(contract), by_interval=hourly)
    surplus = {name: amount for name, amount in work.surplus.items() if amount}
    findings = [*work.findings, *_surplus_told(surplus, instruments, hourly), *_shares_told(instruments, work)]
    return Allocation(bought, work.covered, work.remaining, surplus, tuple(findings))


class _Work:
    """An allocation being made: what remains of every interval, and what each instrument has covered so far."""

    def __init__(self, start_ns: Times, bought: Integers, zone: ZoneInfo) -> None:
        self.start_ns, self.zone = start_ns, zone
        self.bought, self.remaining = bought, bought.copy()
        self.month, self.day = months(start_ns, zone), ordinals(wall_clock(start_ns, zone))
        self.covered: dict[str, Integers] = {}
        self.surplus: dict[str, int] = {}
        self.findings: list[str] = []

    def during(self, contract: Contract) -> npt.NDArray[np.bool_]:
        """Return which intervals begin within a contract's days."""
        first, last = (np.datetime64(day, "D").astype(np.int64) for day in (contract.valid_from, contract.valid_to))
        within: npt.NDArray[np.bool_] = (self.day >= first) & (self.day <= last)
        return within

    def in_bulk(self, name: str, amount: int, where: npt.NDArray[np.bool_]) -> None:
        """Cover at most `amount` of what remains of some intervals, in proportion to it."""
        rows = np.flatnonzero(where)
        taken = min(amount, int(self.remaining[rows].sum()))
        self._cover(name, rows, apportion(taken, self.remaining[rows]))
        self.surplus[name] = amount - taken

    def monthly(self, name: str, contract: Contract) -> None:
        """Cover an amount of each month; of a month the contract holds in part, that part of its days."""
        where, mwh, surplus = self.during(contract), contract.mwh_per_month or 0.0, 0
        for month in np.unique(self.month[where]):
            self.in_bulk(name, round(mwh * 1_000 * MICRO * _held(contract, int(month))), where & (self.month == month))
            surplus += self.surplus[name]
        self.surplus[name] = surplus

    def share(self, name: str, share: float, where: npt.NDArray[np.bool_], *, by_interval: bool) -> None:
        """Cover a share of what each month, or interval, bought, as far as that remains."""
        rows = np.flatnonzero(where)
        times = self.start_ns if by_interval else self.month
        _, group = np.unique(times[rows], return_inverse=True)
        wanted = np.rint(_sums(self.bought[rows], group) * share).astype(np.int64)
        self._cover_groups(name, rows, group, wanted)

    def by_profile(
        self, name: str, amount: int | None, profile: Profile | None, where: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Cover in every interval what was generated in it; a profile of more than `amount` is brought down to it."""
        if profile is None:
            self.surplus[name] = amount or 0
            self.findings.append(f"{name} is not counted: matching by the hour needs the hours it was generated in")
            return
        held = profile.amount
        if amount is not None and int(held.sum()) > amount:
            held = apportion(amount, held)
        rows = np.flatnonzero(np.isin(self.start_ns, profile.start_ns) & (True if where is None else where))
        starts, group = np.unique(self.start_ns[rows], return_inverse=True)
        taken = self._cover_groups(name, rows, group, held[np.searchsorted(profile.start_ns, starts)])
        self.surplus[name] = (amount if amount is not None else int(held.sum())) - taken

    def _cover_groups(self, name: str, rows: Rows, group: Rows, wanted: Integers) -> int:
        taken = np.minimum(wanted, _sums(self.remaining[rows], group))
        self._cover(name, rows, apportion_groups(taken, self.remaining[rows], group))
        return int(taken.sum())

    def _cover(self, name: str, rows: Rows, parts: Integers) -> None:
        self.covered.setdefault(name, np.zeros(len(self.bought), np.int64))[rows] += parts
        self.remaining[rows] -= parts


def edges(start_ns: Times, contracts: Mapping[str, Contract], zone: ZoneInfo, *, hourly: bool) -> Times:
    """Return where the shares of an allocation may change: at months and at contracts' days, or in every interval."""
    found = set(_month_edges(start_ns, zone))
    if hourly:
        return np.union1d(start_ns, np.array(sorted(found), np.int64))
    for contract in contracts.values():
        found |= {midnight_ns(contract.valid_from, zone), midnight_ns(contract.valid_to + timedelta(days=1), zone)}
    return np.array(sorted(found), np.int64)


def _month_edges(start_ns: Times, zone: ZoneInfo) -> Iterator[int]:
    for month in np.unique(months(start_ns, zone)):
        yield midnight_ns(first_day(int(month)), zone)
        yield midnight_ns(first_day(int(month) + 1), zone)


def _held(contract: Contract, month: int) -> float:
    """Return the share of a month's days on which a contract holds."""
    first, after = first_day(month), first_day(month + 1)
    days = min(contract.valid_to + timedelta(days=1), after) - max(contract.valid_from, first)
    return days / (after - first)


def _sums(amounts: Integers, group: Rows) -> Integers:
    sums = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    np.add.at(sums, group, amounts)
    return sums


def _surplus_told(surplus: Mapping[str, int], instruments: Instruments, hourly: bool) -> Iterator[str]:
    produced = {c.name: c.produced for c in instruments.certificates}
    for name, amount in surplus.items():
        within = "the hours it was generated in" if hourly else "its vintage" if name in produced else "its months"
        of = f"certificates {name} of {produced[name]}" if name in produced else f"contract {name}"
        yield f"{of}: {amount / MICRO / 1_000:,.6f} MWh found no consumption of {within} and cover nothing"


def _shares_told(instruments: Instruments, work: _Work) -> Iterator[str]:
    total = np.zeros(len(work.bought))
    for contract in instruments.contracts.values():
        total += np.where(work.during(contract), contract.share or 0.0, 0.0)
    for month in np.unique(work.month[total > 1 + 1e-9]):
        yield f"{month_name(int(month))}: contracts claim more than all that was bought; later ones are cut"
