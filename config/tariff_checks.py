"""A plant → what is wrong with the tariff it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from config.errors import ConfigError
from config.plant_checks import Finding, Plant
from config.tariffs import load_tariff


def check_tariff(plant: Plant) -> Iterator[Finding]:
    """Yield every mistake of the tariff, those of its file with their line there."""
    accounting = plant.gateway.accounting
    if accounting.tariff is None or not plant.is_whole("accounting"):
        return
    try:
        load_tariff(accounting.tariff, int(accounting.interval.removesuffix("min")))
    except ConfigError as error:
        in_file = isinstance(accounting.tariff, Path)
        for problem in error.problems:
            yield ("accounting", "tariff"), str(problem) if in_file else problem.message
