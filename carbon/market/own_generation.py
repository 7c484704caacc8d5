"""Generation, export and import of a site → what it used of its own, what it consumed, and what lost its attribute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from carbon.apportion import apportion
from carbon.entries import MICRO, Integers
from carbon.local_time import month_name


@dataclass(frozen=True, slots=True)
class OwnPower:
    """n intervals of a site that generates [mWh]: self_used + exported = generated, consumed = imported + self_used.

    unexplained int64[n]: exported beyond what was generated, e.g. from storage or by a meter's error.
    """

    generated: Integers
    imported: Integers
    self_used: Integers
    exported: Integers
    unexplained: Integers
    findings: tuple[str, ...]

    @property
    def consumed(self) -> Integers:
        """What the site used, bought and its own [mWh]."""
        return self.imported + self.self_used


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a period's energy, 0 to 1; None where there was nothing to be a part of."""

    self_used: float | None  # of what was generated
    own: float | None  # of what was consumed
    green: float | None  # of what was consumed: own power whose attribute was kept, and bought with certificate


def own_power(generated: Integers, exported: Integers, imported: Integers) -> OwnPower:
    """Return what was used of the own generation int64[n] [mWh] in each interval.

    self_used = generated − exported; where more was exported than generated it is 0 and the rest is a finding.
    Raises ValueError for a negative amount: the two directions of a meter are two registers.
    """
    if min((int(column.min(initial=0)) for column in (generated, exported, imported)), default=0) < 0:
        raise ValueError("generation, export and import are each counted upwards; a negative amount cannot be placed")
    own_export = np.minimum(exported, generated)
    unexplained = exported - own_export
    findings: tuple[str, ...] = ()
    if rows := int(np.count_nonzero(unexplained)):
        kwh = int(unexplained.sum()) / MICRO
        findings = (
            f"in {rows} intervals more was exported than generated, {kwh:,.3f} kWh together: "
            "from storage, or a meter or its sign is wrong; it is not counted as own power",
        )
    return OwnPower(generated, imported, generated - own_export, own_export, unexplained, findings)


def null_power(own: OwnPower, month: Integers, sold: Mapping[int, int]) -> tuple[Integers, tuple[str, ...]]:
    """Return (int64[n] own use whose attribute was sold [mWh], findings); month int64[n], sold: month → mWh.

    Certificates sold belong first to what was exported. Beyond that they are of own use, which thereby loses its
    attribute and takes the residual factor in the market-based figure (the location-based one does not change).
    Source: GHG Protocol Scope 2 Guidance (2015), on-site generation whose certificates are sold.
    """
    null = np.zeros(len(own.self_used), np.int64)
    findings = []
    for number, amount in sorted(sold.items()):
        rows = np.flatnonzero(month == number)
        generated, exported = int(own.generated[rows].sum()), int(own.exported[rows].sum())
        if amount > generated:
            findings.append(
                f"{month_name(number)}: certificates of {amount / MICRO:,.3f} kWh of own power were sold, "
                f"but only {generated / MICRO:,.3f} kWh were generated; look at the certificates' month and amount"
            )
        lost = min(max(amount - exported, 0), generated - exported)
        if lost:
            null[rows] = apportion(lost, own.self_used[rows])
    return null, tuple(findings)


def shares(own: OwnPower, null: Integers, green_bought: Integers) -> Shares:
    """Return the shares over all intervals; green_bought int64[n] [mWh] is covered by zero-emission instruments."""
    generated, consumed = int(own.generated.sum()), int(own.consumed.sum())
    used, green = int(own.self_used.sum()), int((own.self_used - null + green_bought).sum())
    return Shares(
        self_used=used / generated if generated else None,
        own=used / consumed if consumed else None,
        green=green / consumed if consumed else None,
    )
