"""A plant → what its alerts refer to and is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from config.alerts import Rule
from config.explain import nearest
from config.kpis import Figures, figures
from config.plant_checks import Finding, Loc, Plant
from config.window_checks import points_of, untold


def check_alerts(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with alerts."""
    points = {name: points_of(plant, asset) for _, name, asset in plant.assets()}
    found, hidden = figures(plant.gateway, points), untold(plant)
    for name, rule in plant.gateway.alerts.items():
        yield from _windows(plant, ("alerts", name), rule, found, hidden)


def _windows(plant: Plant, path: Loc, rule: Rule, found: Figures, hidden: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield the windows a rule names and nothing computes."""
    names = plant.names("windows")
    for key in ("window", "driver", "waste"):
        window = getattr(rule, key, None)
        if window is None or window in names or found.named(window) or ("." in window and hidden(window)):
            continue
        where = (*path, key)
        asset, dot, kpi = window.partition(".")
        if not dot:
            yield where, f"there is no window '{window}'{nearest(window, names)}"
            continue
        why = next((f"; {left.why}" for left in found.left if (left.asset, left.kpi) == (asset, kpi)), "")
        yield where, f"asset '{asset}' has no figure '{kpi}'{why or nearest(window, found.found)}"
