"""A configuration → the names of the parts of a gateway that count what they do."""

from __future__ import annotations

from config.model import Gateway


def components(gateway: Gateway) -> tuple[str, ...]:
    """Return the names of all components that count."""
    collectors = [f"collector.{name}" for name in gateway.connections]
    stages = ["stage.windows", "stage.alerts"]
    sinks = [f"sink.{name}" for name in gateway.sinks]
    live = ["factors"] if gateway.factors.live else []
    channels = [f"notify.{name}" for name in gateway.notify.channels]
    return (*collectors, *stages, "desk", "history", "ledger", "publisher", *live, "log", *sinks, *channels)
