"""The gateway's counters → Prometheus text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pipeline.counters import COUNTED
from tanflow.web.inside.health import program_version, wrong_links

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def metrics(gateway: Gateway) -> str:
    """Return all metrics; names never change, new ones may come."""
    board = sorted(gateway.board.components.items())

    def each(name: str, about: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
        return _family(name, "gauge", about, ((_labels(component=c), v) for c, v in values))

    def single(name: str, about: str, value: float) -> Iterator[str]:
        return _family(name, "gauge", about, [("", value)])

    events = ((_labels(component=c, event=e), getattr(counters, e)) for c, counters in board for e in COUNTED)
    built = _labels(version=program_version(), revision=str(gateway.table.revision))
    families = (
        _family("tanflow_rows_total", "counter", "Rows, retries, restarts and missed polls, since the start.", events),
        each("tanflow_backlog_rows", "Rows waiting for the component.", ((c, n.backlog) for c, n in board)),
        each("tanflow_lag_seconds", "How far the component is behind.", ((c, n.lag_s) for c, n in board)),
        each(
            "tanflow_latency_seconds", "How long an answer takes to come.", _known((c, n.latency_s) for c, n in board)
        ),
        each("tanflow_up", "1: works, perhaps in part.", ((c, n.state in ("running", "degraded")) for c, n in board)),
        each("tanflow_links_wrong", "Devices or topics that fail now.", ((c, len(wrong_links(n))) for c, n in board)),
        single("tanflow_loop_lag_seconds", "Last lag of the event loop.", gateway.lag.last_s),
        single("tanflow_loop_lag_recent_seconds", "Largest lag of the last 15 to 30 s.", gateway.lag.recent_s),
        single("tanflow_loop_lag_max_seconds", "Largest lag of the event loop.", gateway.lag.largest_s),
        single("tanflow_log_position", "Position of the last commit.", gateway.log.position),
        single("tanflow_disk_free_bytes", "Free on the disk of the data.", gateway.directory.free_bytes()),
        single("tanflow_accepting", "1: readings are accepted.", gateway.accepting.is_set()),
        single("tanflow_clock_trusted", "1: the clock is believed.", gateway.clock.trusted),
        _family("tanflow_info", "gauge", "What runs; always 1.", [(built, 1)]),
    )
    return "".join(line for family in families for line in family)


def _known(values: Iterable[tuple[str, float | None]]) -> Iterator[tuple[str, float]]:
    yield from ((component, value) for component, value in values if value is not None)


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{name}{labels} {float(value):.17g}\n"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items()) + "}"
