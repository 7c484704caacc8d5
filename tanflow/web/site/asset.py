"""/api/assets/{name}: one asset in full, its figures against their standards, and what its CO₂ of today came from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from carbon.accountant import Unbooked
from carbon.entries import MICRO, Entries
from carbon.factor import GASES, Factor
from carbon.local_time import midnight_ns
from config import asset_types
from config.asset_types import Kpi
from config.grades import STANDARDS
from config.kpis import Figure
from config.model import Asset
from config.vocabulary import facts, grading_of, grading_said
from pipeline.clock import SECOND_NS
from pipeline.quality import describe
from tanflow.account import Stretch
from tanflow.web.encode import dumps
from tanflow.web.site.devices import described, devices_by_asset
from tanflow.web.site.state_words import states

if TYPE_CHECKING:
    from pipeline.spec import Spec
    from tanflow.gateway import Gateway


@dataclass
class Details:
    """Computes one asset of a gateway at a time."""

    gateway: Gateway

    @cached_property
    def _assets(self) -> dict[str, tuple[str, Asset]]:
        areas = self.gateway.config.areas.items()
        return {name: (area, asset) for area, of_area in areas for name, asset in of_area.assets.items()}

    async def compute(self, name: str) -> bytes:
        """Return an asset as JSON."""
        now_ns = self.gateway.clock.now_ns()
        unbooked = self.gateway.accountant.unbooked()
        return await asyncio.to_thread(lambda: dumps(self._answer(name, unbooked, now_ns)))

    def _answer(self, name: str, unbooked: Unbooked, now_ns: int) -> dict[str, Any]:
        gateway = self.gateway
        area, asset = self._assets[name]
        zone = ZoneInfo(gateway.config.site.zone)
        begin_ns = midnight_ns(datetime.fromtimestamp(now_ns // SECOND_NS, zone).date(), zone)
        today = gateway.account.stretch(unbooked, begin_ns, now_ns)
        kind = asset_types.load_all().get(asset.type)
        series = {key: stream.series for key, stream in gateway.books.streams.items()}
        about = {
            "name": name,
            "area": area,
            "type": asset.type,
            "title": kind.title if kind else asset.type,
            "carrier": asset.carrier,
            "fed_by": asset.fed_by,
            "members": list(asset.members),
            "feeds": [other for other, (_, a) in self._assets.items() if a.fed_by == name],
            "facts": facts(asset),
        }
        return {
            "now_ns": now_ns,
            "about": about,
            "devices": [described(gateway, d) for d in devices_by_asset(gateway).get(name, [])],
            "points": list(self._points(name, now_ns)),
            "kpis": [self._kpi(figure, asset) for figure in gateway.context.figures if figure.asset == name],
            "states": [
                {"key": s.key, "label": _label(s.key), "meaning": {str(n): w for n, w in s.meanings.items()}}
                for s in states(gateway).get(name, [])
            ],
            "today_ns": begin_ns,
            "booked_ns": unbooked.booked_ns,
            "carbon": [
                *_rows(today, today.booked, name, "booked", series),
                *_rows(today, today.open, name, "provisional", series),
            ],
        }

    def _points(self, name: str, now_ns: int) -> Iterator[dict[str, Any]]:
        """Yield what devices measure of an asset and what follows from each, newest values beside it."""
        latest = self.gateway.latest
        table = self.gateway.table
        for number in table.specs.tagged("asset", name).tolist():
            if not _is_point(spec := table.spec(number)):
                continue
            seen, value = bool(latest.time_ns[number]), float(latest.value[number])
            time_ns, bits = int(latest.time_ns[number]), int(latest.quality[number])
            yield {
                "key": spec.key,
                "label": _label(spec.key),
                "quantity": spec.like.quantity,
                "unit": spec.like.unit,
                "measured": spec.like.stratum == 0,
                "value": value if seen else None,
                "time_ns": time_ns if seen else None,
                "age_s": round((now_ns - time_ns) / SECOND_NS, 3) if seen else None,
                "bits": bits if seen else None,
                "quality": describe(bits) if seen else None,
                "period_s": spec.like.period_ns / SECOND_NS,
            }

    def _kpi(self, figure: Figure, asset: Asset) -> dict[str, Any]:
        """Return a figure of the last window that closed, and the bands it is judged by."""
        latest, ids = self.gateway.latest, self.gateway.table.ids
        number, completeness = ids[figure.key], ids[figure.completeness]
        grade = ids[figure.grade] if figure.grade else -1
        seen = bool(latest.time_ns[number])
        kind = asset_types.load_all().get(asset.type)
        kpi = kind.kpis.get(figure.name) if kind else None
        return {
            "name": figure.name,
            "key": figure.key,
            "unit": figure.unit,
            "every": figure.every,
            "value": float(latest.value[number]) if seen else None,
            "completeness": float(latest.value[completeness]) if latest.time_ns[completeness] else None,
            "end_ns": int(latest.time_ns[number]) if seen else None,
            "quality": describe(int(latest.quality[number])) if seen else None,
            "note": kpi.note if kpi else "",
            "grade": int(latest.value[grade]) if grade >= 0 and latest.time_ns[grade] else None,
            **_bands(figure, asset, kpi),
            "sane": list(figure.sane) if figure.sane else None,
        }


def _bands(figure: Figure, asset: Asset, kpi: Kpi | None) -> dict[str, Any]:
    """Return the limits of grades 1 to 3 with who sets them; None where the asset has none, and why."""
    if kpi is None or kpi.grade is None:
        return {"limits": None, "higher_is_better": None, "standard": None, "graded": None, "ungraded": None}
    standard, grading = STANDARDS[kpi.grade.standard], grading_of(asset, kpi.grade)
    limits = dict(zip(("1", "2", "3"), figure.limits, strict=True)) if figure.limits else None
    return {
        "limits": limits,
        "higher_is_better": standard.higher,
        "standard": {"title": standard.title, "source": grading.source} if limits else None,
        "graded": grading_said(asset, grading),
        "ungraded": None if limits else asdict(grading.reason),
    }


def _is_point(spec: Spec) -> bool:
    return spec.like.measurement in ("energy", "emissions", "process") and not spec.like.quantity.startswith("account")


def _label(key: str) -> str:
    return key.split(".")[1].replace("_", " ").replace("-", " ")


def _rows(
    today: Stretch, entries: Entries, asset: str, part: str, series: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield what emitted: the amounts of a reading by one factor, so that amount × factor is what stands there.

    `series`: the key of each stream's amounts, "" for what people enter or what is made of other streams.
    """
    mine = [n for n, line in today.lines.items() if line.asset == asset and line.scope]
    entries = entries.take(np.isin(entries.line, mine))
    pairs = np.unique(np.stack([entries.line, entries.factor]), axis=1) if len(entries) else np.empty((2, 0), np.int32)
    for number, factor in pairs.T.tolist():
        rows = entries.take((entries.line == number) & (entries.factor == factor))
        reading = series.get(today.lines[number].stream, "")
        said = {"part": part, "reading": reading, **_line(today, number), **_amounts(rows)}
        yield said | {"factor": _factor(today.factors[factor])}


def _line(today: Stretch, number: int) -> dict[str, Any]:
    line = today.lines[number]
    return {
        "stream": line.stream,
        "unit": line.unit,
        "role": line.role,
        "scope": line.scope,
        "category": line.category,
        "method": line.method,
    }


def _amounts(rows: Entries) -> dict[str, Any]:
    span = int(rows.span_ns.sum())
    return {
        "from_ns": int(rows.start_ns.min()),
        "to_ns": int((rows.start_ns + rows.span_ns).max()),
        "amount": int(rows.amount.sum()) / MICRO,
        "energy_kwh": int(rows.energy.sum()) / MICRO,
        "co2e_kg": int(rows.co2e.sum()) / MICRO,
        "biogenic_kg": int(rows.biogenic.sum()) / MICRO,
        "estimated": int(rows.estimated.sum()) / MICRO,
        "substituted": int(rows.substituted.sum()) / MICRO,
        "covered": int(rows.covered_ns.sum()) / span if span else None,
    }


def _factor(factor: Factor) -> dict[str, Any]:
    said = factor.provenance
    return {
        "id": factor.id,
        "value": factor.total,
        "unit": f"kg/{factor.unit}",
        "by_gas": {gas: kg for gas, kg in zip(GASES, factor.kg, strict=True) if kg},
        "publisher": said.publisher,
        "publication": said.publication,
        "source": said.source,
        "year": said.data_year,
        "variant": said.variant,
        "gwp": factor.gwp,
        "uncertainty": factor.uncertainty,
        "version": factor.version,
    }
