"""What only the whole program can check of a configuration: addresses, series, secrets; and what it amounts to."""

from __future__ import annotations

from config.bindings import bind
from config.load import Loaded
from pipeline.compile import compile_plan


def check_more(loaded: Loaded) -> None:
    """Compile the plan; raises ConfigError or GatewayError with a sentence, before any I/O."""
    compile_plan(loaded.gateway, bind(loaded.gateway, loaded.templates), loaded.path.parent)


def summary(loaded: Loaded) -> str:
    """Return one line on what the configuration amounts to."""
    gateway = loaded.gateway
    devices = list(bind(gateway, loaded.templates))
    points = sum(len(d.points) for d in devices)
    assets = sum(len(a.assets) for a in gateway.areas.values())
    counts = f"{assets} assets, {len(devices)} devices, {points} points, {len(gateway.connections)} connections"
    return f"{loaded.path}: valid — {counts}, {len(gateway.sinks)} sinks"
