"""Figures of a configuration → their series."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from config.bindings import BoundDevice
from config.errors import GatewayError
from config.kpis import Figure, Figures, figures, points_of
from config.model import Gateway
from config.quantities import QUANTITIES, unit_of
from pipeline.batch import WINDOW
from pipeline.spec import Kind, Like, Spec

STAGE = "windows"  # the one stage that computes all figures


def figures_of(gateway: Gateway, devices: Collection[BoundDevice], known: Collection[str]) -> Figures:
    """Return all figures of a plant whose series are `known`; raises GatewayError for one nothing can compute."""
    found = figures(gateway, points_of(devices), known)
    if found.wrong:
        window, why = found.wrong[0]
        raise GatewayError(f"windows.{window}: {why}")
    return found


def window_specs(gateway: Gateway, found: Figures) -> Iterator[Spec]:
    """Yield the series of every figure, its completeness and grade."""
    for figure in found:
        yield from _figure(gateway, figure)


def _figure(gateway: Gateway, figure: Figure) -> Iterator[Spec]:
    tags = _tags(gateway, asset=figure.asset, window=figure.name)
    if figure.quantity == "kpi":
        stem, suffix = figure.name.replace("-", "_"), _slug(figure.unit)
    else:
        stem, suffix = figure.quantity, QUANTITIES[figure.quantity].suffix
    fields = [(figure.key, figure.quantity, figure.unit, f"{stem}_{suffix}" if suffix else stem)]
    fields.append((figure.completeness, "completeness", "1", "completeness"))
    if figure.grade:
        fields.append((figure.grade, "grade", "1", "grade"))
    for key, quantity, unit, field in fields:
        yield Spec(key, tags, Like(STAGE, quantity, unit, Kind.DELTA, "kpi", field, stratum=WINDOW))


def _slug(unit: str) -> str:
    """Return a unit as the end of a field's name, e.g. `kw_m3_min`, `pct`; "" for a plain number."""
    words = re.findall(r"\w+|%", "" if unit_of(unit) == unit_of("1") else unit)
    return "_".join("pct" if word == "%" else word.lower() for word in words)


def _tags(gateway: Gateway, **tags: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"site": gateway.site.name, **tags}.items()))
