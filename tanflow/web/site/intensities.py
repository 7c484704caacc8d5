"""Energy per product of the last closed windows, each with the limit its alert keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from config.alerts import IntensityAlert, Threshold
from config.kpis import Figure
from pipeline.alerts.compile import part_key

if TYPE_CHECKING:
    from pipeline.alerts.context import Context
    from tanflow.gateway import Gateway


@dataclass(frozen=True, slots=True)
class _Limit:
    """The series in which an alert tells its limit, and the limit it has before it ever told one."""

    series: int
    fixed: float | None


class Intensities:
    """The figures of energy per product of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._latest = gateway.latest
        self._ids: Mapping[str, int] = gateway.table.ids
        self._figures = [figure for figure in gateway.context.figures if figure.quantity == "energy_intensity"]
        self._limits = dict(_limits(gateway.context))

    def told(self) -> list[dict[str, Any]]:
        """Return value [unit], completeness, end and limit of each; null where unknown."""
        return [self._described(figure) for figure in self._figures]

    def _described(self, figure: Figure) -> dict[str, Any]:
        value, end_ns = self._newest(figure.key)
        about = {"key": figure.key, "asset": figure.asset, "name": figure.name, "unit": figure.unit, "value": value}
        complete, _ = self._newest(figure.completeness)
        return about | {"completeness": complete, "end_ns": end_ns, "limit": self._limit(figure)}

    def _newest(self, key: str) -> tuple[float | None, int | None]:
        number = self._ids[key]
        at_ns = int(self._latest.time_ns[number])
        return (float(self._latest.value[number]), at_ns) if at_ns else (None, None)

    def _limit(self, figure: Figure) -> float | None:
        limit = self._limits.get(figure.key)
        if limit is None or not self._latest.time_ns[limit.series]:
            return limit.fixed if limit else None
        told = float(self._latest.value[limit.series])
        return told if np.isfinite(told) else limit.fixed


def _limits(context: Context) -> Iterator[tuple[str, _Limit]]:
    """Yield the upper limit of each figure that an alert keeps, by the figure's key."""
    for alert in context.alerts:
        rule = alert.rule
        if isinstance(rule, Threshold | IntensityAlert) and (figure := context.figures.named(rule.window or "")):
            fixed = rule.above if isinstance(rule, Threshold) else None
            if fixed is not None or isinstance(rule, IntensityAlert):
                yield figure.key, _Limit(context.ids[part_key(alert, "alert_limit")], fixed)
