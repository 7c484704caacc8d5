"""A configuration and the ids of its series → its figures and alerts, and what those need to know who build on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from zoneinfo import ZoneInfo

from config.alerting import Alert, alerts_of
from config.alerts import Rule
from config.bindings import BoundDevice, series_key
from config.errors import GatewayError
from config.kpis import Figure, Figures
from config.model import Gateway
from config.points import Point
from pipeline.compile_windows import figures_of
from pipeline.heartbeat import TICK_KEY

Numbered = tuple[int, Alert[Any]]  # an alert and its number among all


@dataclass(frozen=True)
class Context:
    """A configuration, its devices and figures, and the ids of all series by key."""

    config: Gateway
    devices: Collection[BoundDevice]
    figures: Figures
    ids: Mapping[str, int]

    @classmethod
    def of(cls, config: Gateway, devices: Collection[BoundDevice], ids: Mapping[str, int]) -> Self:
        """Return what a configuration comes to; raises GatewayError for a figure nothing can compute."""
        return cls(config, devices, figures_of(config, devices, ids.keys()), ids)

    @cached_property
    def alerts(self) -> list[Alert[Rule]]:
        """Every alert of the plant."""
        return alerts_of(self.config, self.devices, self.figures)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.site.zone)

    @property
    def tick(self) -> int:
        return self.ids[TICK_KEY]

    @cached_property
    def points(self) -> dict[str, Point]:
        """Every point by asset.point."""
        return {f"{d.asset_name}.{name}": point for d in self.devices for name, point in d.points.items()}

    def figure(self, window: str) -> Figure:
        """Return the figure of a window; raises GatewayError where nothing computes it."""
        found = self.figures.named(window)
        if found is None:
            raise GatewayError(f"alerts: '{window}' is not computed")
        return found

    def point(self, reference: str, quantity: str = "") -> int:
        """Return the id of what a point measures, or of another quantity that follows from it, e.g. its energy."""
        return self.ids[self.point_key(reference, quantity)]

    def point_key(self, reference: str, quantity: str = "") -> str:
        """Return the key of that series."""
        asset, _, name = reference.partition(".")
        return series_key(asset, name, quantity or self.points[reference].quantity)

    def watched(self, window: str | None, point: str | None) -> tuple[int, int]:
        """Return the ids of what is watched and of its completeness; −1 for that of a point."""
        if window is None:
            return self.point(point or ""), -1
        figure = self.figure(window)
        return self.ids[figure.key], self.ids[figure.completeness]

    def power(self, reference: str) -> int:
        """Return the id of a figure or point in kW."""
        figure = self.figures.named(reference)
        return self.ids[figure.key] if figure else self.point(reference)
