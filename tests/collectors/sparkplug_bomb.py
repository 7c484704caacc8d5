"""Messages made to be costly → a collector, in a process of its own; prints how far its memory grew at most [MB]."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from typing import Any

from collectors.sparkplug import SparkplugCollector
from config.protocols.sparkplug import SparkplugConnection
from pipeline.counters import Counters
from tests.collectors.driving import ids_of, origin
from tests.collectors.sparkplug_parts import REFERENCE as OF
from tests.collectors.sparkplug_parts import payload, press

POINTS = {
    "p": {"quantity": "power", "unit": "kW", "sparkplug": {"metric": "Motor/P"}},
    "q": {"quantity": "power", "unit": "kW", "sparkplug": {"metric": "Motor/" + "d" * 1_000 + "/P[0]"}},
}
LEAF = {"name": "P", "datatype": 10, "double_value": 7.5}


def _template(name: str, *inner: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "datatype": 19, "template_value": {"metrics": list(inner)}}


def _long_name() -> list[dict[str, Any]]:
    inner = [{"name": f"{n}", "datatype": 10, "double_value": 1.0} for n in range(30_000)]
    return [_template("Motor", LEAF, _template("x" * 200_000, *inner))]


def _long_way() -> list[dict[str, Any]]:
    inner = [{"name": "e" * 60 + f"{n}", "datatype": 10, "double_value": 1.0} for n in range(45_000)]
    return [_template("Motor", LEAF, _template("d" * 1_000, *inner))]


def _wide_set() -> list[dict[str, Any]]:
    columns = [f"{n}" for n in range(40_000)]
    row = OF["Row"](elements=[OF["DataSetValue"](double_value=1.0)] * 40_000)
    table = OF["DataSet"](columns=columns, types=[10] * 40_000, rows=[row] * 5)
    inner = {"name": "d" * 1_000, "datatype": 16, "dataset_value": table}
    return [_template("Motor", LEAF, inner)]


def _again_and_again() -> list[dict[str, Any]]:
    return [_template("Motor", LEAF)] * 45_000


def _wrong() -> list[dict[str, Any]]:
    return [_template("Motor", LEAF), *[{"name": "Motor", "datatype": 19, "int_value": 5}] * 49_000]


def _properties() -> list[dict[str, Any]]:
    many = OF["PropertySet"](keys=["k"] * 250_000, values=[OF["PropertyValue"]()] * 250_000)
    return [_template("Motor", LEAF) | {"properties": many}] * 3


BOMBS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    f.__name__[1:]: f for f in (_long_name, _long_way, _wide_set, _again_and_again, _wrong, _properties)
}


def main(bomb: str) -> None:
    """Let a collector hear a bomb as a birth, then as data; print growth [MB], values, dead letters, size."""
    device = press(points=POINTS)
    connection = SparkplugConnection(protocol="sparkplug", host="127.0.0.1", port=1)
    collector = SparkplugCollector(origin(), connection, [device], ids_of([device]), Counters())
    metrics = BOMBS[bomb]()
    now_ms = origin().clock.now_ns() // 1_000_000
    messages = [
        ("NBIRTH", payload(0, *metrics, timestamp=now_ms)),
        ("NDATA", payload(1, *metrics, timestamp=now_ms + 1)),
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, message in messages:
        collector._take(["spBv1.0", "Hall1", kind, "press"], message, False)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    batch = collector._rows.take()
    print(f"{grown:.0f} {len(batch)} {len(batch.rejects)} {max(len(m) for _, m in messages)}")


if __name__ == "__main__":
    main(sys.argv[1])
