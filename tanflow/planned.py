"""A checked configuration → everything that follows from it alone, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carbon.books import Books
from carbon.live.feed import live_specs
from carbon.publish import account_specs
from config.bindings import BoundDevice, bind
from config.model import Gateway as Config
from config.points import DeviceMap
from pipeline.compile import compile_plan
from pipeline.plan import Plan


@dataclass(slots=True)
class Planned:
    """A configuration, its devices, the plan of its series and its books; a second of work for a large plant."""

    config: Config
    devices: list[BoundDevice]
    books: Books
    _plan: Plan | None

    @classmethod
    def of(cls, config: Config, templates: Mapping[str, DeviceMap], base: Path = Path()) -> Planned:
        """Return the plan of a configuration; raises GatewayError for one that cannot run."""
        devices = list(bind(config, templates))
        plan = compile_plan(config, devices, base)
        books = Books.planned(config, templates, plan.specs, base)
        plan.specs += account_specs(books)
        plan.specs += live_specs(config)
        return cls(config, devices, books, plan)

    def take_plan(self) -> Plan:
        """Give the plan away, to one gateway only: its table has the series, and what follows takes their place."""
        plan, self._plan = self._plan, None
        if plan is None:
            raise RuntimeError("this plan has become a gateway's already; make another of the configuration")
        return plan
