"""The gateway's counters → one verdict with its reasons, and every component's numbers beside it."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from config.meters import calibrations_due
from pipeline.clock import SECOND_NS
from pipeline.counters import COUNTED, Counters
from tanflow.web.encode import iso

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_REASONS: Final = 50  # more are counted, not listed
Overall = Literal["ok", "degraded", "down"]


def health(gateway: Gateway) -> dict[str, Any]:
    """Return state ok, degraded or down (nothing is accepted), why, what comes up, and what each component counts."""
    components = gateway.board.components
    due = calibrations_due(gateway.config.accounting.meters, _today(gateway))
    reasons = _reasons(gateway) + [str(calibration) for calibration in due if calibration.days < 0]
    shown = reasons[:_REASONS]
    if len(reasons) > _REASONS:
        shown.append(f"and {len(reasons) - _REASONS} more")
    return {
        "state": overall(gateway, reasons),
        "reasons": shown,
        "notices": [str(calibration) for calibration in due if calibration.days >= 0],
        "site": {"name": gateway.config.site.name, "zone": gateway.config.site.zone},
        "version": program_version(),
        "revision": gateway.table.revision,
        "time": iso(np.array([gateway.clock.now_ns()]))[0],
        "uptime_s": round(gateway.clock.monotonic_ns() / SECOND_NS, 3),
        "clock_trusted": gateway.clock.trusted,
        "accepting": gateway.accepting.is_set(),
        "log_position": gateway.log.position,
        "backlog_rows": max((c.backlog for c in components.values()), default=0),
        "loop_lag_s": round(gateway.lag.last_s, 6),
        "loop_lag_max_s": round(gateway.lag.largest_s, 6),
        "disk_free_bytes": gateway.directory.free_bytes(),
        "components": {name: _component(counters) for name, counters in sorted(components.items())},
    }


def overall(gateway: Gateway, reasons: list[str]) -> Overall:
    """Return down when no reading comes in, degraded when anything else is wrong."""
    collectors = [c for name, c in gateway.board.components.items() if name.startswith("collector.")]
    silent = bool(collectors) and all(c.state == "down" for c in collectors)
    if silent or not gateway.accepting.is_set():
        return "down"
    return "degraded" if reasons else "ok"


def _today(gateway: Gateway) -> date:
    return datetime.fromtimestamp(gateway.clock.now_ns() // SECOND_NS, ZoneInfo(gateway.config.site.zone)).date()


def wrong_links(counters: Counters) -> dict[str, str]:
    """Return what is wrong by link, e.g. by device of a collector."""
    return {name: words for name, words in counters.links.items() if words}


def _component(counters: Counters) -> dict[str, Any]:
    counted = {name: getattr(counters, name) for name in (*COUNTED, "backlog", "state", "last_error")}
    wrong = wrong_links(counters)
    listed = dict(islice(wrong.items(), _REASONS))
    most = sorted(counters.missed_of.items(), key=lambda of: -of[1])[:_REASONS]
    links = {"known": len(counters.links), "wrong": len(wrong), "what": listed, "missed": dict(most)}
    latency_s = None if counters.latency_s is None else round(counters.latency_s, 6)
    return counted | {"lag_s": round(counters.lag_s, 3), "latency_s": latency_s, "links": links}


def _reasons(gateway: Gateway) -> list[str]:
    reasons: list[str] = []
    if not gateway.clock.trusted:
        reasons.append("the clock is not set: readings are kept, but not passed on until it is")
    if not gateway.accepting.is_set():
        reasons.append("nothing is accepted until there is room on the disk")
    for name, counters in gateway.board.components.items():
        links = [f"{name}: {_named(link, words)}" for link, words in wrong_links(counters).items()]
        if counters.state in ("degraded", "down") and not links:
            why = f": {counters.last_error}" if counters.last_error else ""
            reasons.append(f"{name} is {counters.state}{why}")
        reasons += links
    return reasons


def _named(link: str, words: str) -> str:
    """Return what is wrong with a link, which is named once: a sink's own words begin with its database."""
    return words if words.startswith(link) else f"{link}: {words}"


@cache
def program_version() -> str:
    """Return the installed version, "unknown" when run from a bare source tree."""
    try:
        return version("tanflow")
    except PackageNotFoundError:
        return "unknown"
