"""A plant → what is wrong with its processes: names, assets, streams in tonnes, gases."""

from __future__ import annotations

from collections.abc import Iterator

from config.carriers import CARRIERS
from config.explain import nearest
from config.gwp import gwp
from config.plant_checks import Finding, Loc, Plant
from config.processes import Etching
from config.virtual_checks import metered_flows


def check_processes(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with processes."""
    accounting = plant.gateway.accounting
    told = not any(path[0] in ("areas", "templates") for path in plant.broken)
    assets, known = {name for _, name, _ in plant.assets()}, metered_flows(plant)
    for name, process in accounting.process.items():
        at: Loc = ("accounting", "process", name)
        if name in CARRIERS:
            yield at, f"'{name}' is the name of a carrier; call the process something else, e.g. {name}-process"
        if told and process.asset not in assets:
            yield (*at, "asset"), f"there is no asset '{process.asset}'{nearest(process.asset, assets)}"
        if told and process.metered_by:
            flow = known.get(process.metered_by)
            if flow is None:
                message = f"there is no metered stream '{process.metered_by}'{nearest(process.metered_by, known)}"
                yield (*at, "from"), f"{message}; without 'from' its tonnes are entered as deliveries of '{name}'"
            elif flow.unit != "t":
                yield (*at, "from"), f"'{process.metered_by}' is counted in {flow.unit}; a process goes by tonnes"
        for gas in (process.gas, *(made.gas for made in process.byproducts)) if isinstance(process, Etching) else ():
            try:
                gwp(gas, accounting.gwp)
            except ValueError as error:
                yield (*at, "gas"), str(error)
