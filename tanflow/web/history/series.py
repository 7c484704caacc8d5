"""The series table and the newest values → lists for a reader who filters them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from config.model import Gateway as Config
from pipeline.clock import SECOND_NS
from pipeline.latest import Latest
from pipeline.quality import describe
from pipeline.series import SeriesTable
from pipeline.spec import Kind, Spec
from tanflow.web.encode import iso
from tanflow.web.parameters import Filter

_PLACE: Final = ("area", "asset", "asset_type", "device", "carrier", "scope", "method", "window")
_FILTERS_KEPT: Final = 8  # the page asks with one filter each second


class SeriesList:
    """All series of the revision in force; nothing is kept per series, there may be a hundred thousand."""

    def __init__(self, config: Config, table: SeriesTable) -> None:
        self._config = config
        self._specs = table.specs
        self._ids = lru_cache(maxsize=_FILTERS_KEPT)(self._find)

    def describe(self, wanted: Filter) -> list[dict[str, Any]]:
        """Return what is known of the wanted series."""
        return [self._describe(i, spec) for i in self._ids(wanted).tolist() if (spec := self._specs[i])]

    def latest(self, latest: Latest, wanted: Filter) -> Rows:
        """Return a copy of the newest rows of the wanted series, leaving out those never seen."""
        ids = self._ids(wanted)
        ids = ids[latest.time_ns[ids] != 0]
        specs = [spec for i in ids.tolist() if (spec := self._specs[i])]
        return Rows(specs, latest.time_ns[ids], latest.value[ids], latest.quality[ids])

    def ids(self, wanted: Filter) -> npt.NDArray[np.int64]:
        """Return the ids of the wanted series."""
        return self._ids(wanted)

    def _find(self, wanted: Filter) -> npt.NDArray[np.int64]:
        found = [i for i, spec in enumerate(self._specs) if spec and _fits(spec, wanted)]
        return np.array(found, np.int64)

    def _describe(self, series: int, spec: Spec) -> dict[str, Any]:
        tags = dict(spec.tags)
        about: dict[str, Any] = {
            "key": spec.key,
            "id": series,
            "quantity": spec.like.quantity,
            "unit": spec.like.unit,
            "kind": Kind(spec.like.kind).name.lower(),
            "connection": spec.like.connection,
            "measurement": spec.like.measurement,
            "field": spec.like.field,
            "period_s": spec.like.period_ns / SECOND_NS,
        }
        about |= {name: tags.get(name, "") for name in _PLACE}
        if name := tags.get("alert"):
            about["alert"] = {"name": name, "severity": tags["severity"]}
        return about


def _fits(spec: Spec, wanted: Filter) -> bool:
    return (
        wanted.match in spec.key
        and (not wanted.quantities or spec.like.quantity in wanted.quantities)
        and (not wanted.asset or ("asset", wanted.asset) in spec.tags)
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """The newest row of each of n series."""

    specs: list[Spec]
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint16]

    def describe(self, now_ns: int) -> dict[str, Any]:
        """Return them by key, with their age at gateway time `now_ns`."""
        words = {bits: describe(bits) for bits in np.unique(self.quality).tolist()}
        ages = ((now_ns - self.time_ns) / SECOND_NS).round(3)
        columns = (iso(self.time_ns), self.time_ns.tolist(), self.value.tolist(), self.quality.tolist(), ages.tolist())
        return {
            "now_ns": now_ns,
            "latest": {
                spec.key: {
                    "value": value,
                    "unit": spec.like.unit,
                    "time": time,
                    "time_ns": time_ns,
                    "age_s": age_s,
                    "quality": words[bits],
                    "bits": bits,
                }
                for spec, time, time_ns, value, bits, age_s in zip(self.specs, *columns, strict=True)
            },
        }
