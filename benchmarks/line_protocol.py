"""A plant's readings → line protocol: µs per value of our encoder and of influxdb-client's Point, in one run.

`python -m benchmarks.line_protocol` writes its block of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from influxdb_client import Point, WritePrecision

from benchmarks.report import ROOT, heading, put_block, table
from pipeline.batch import Batch, Header, make
from pipeline.quality import INTEGRATED, UNCERTAIN
from pipeline.series import SeriesTable
from pipeline.spec import Like, Spec
from sinks.line_protocol import Encoder

NOW_NS = 1_750_000_000_000_000_000


def plant(devices: int, fields: int) -> SeriesTable:
    """Return a table of `devices` meters with `fields` series each."""
    specs = [
        Spec(
            key=f"meter{device}.point{field}.power",
            tags=(("area", "hall"), ("asset", f"meter{device}"), ("device", "main"), ("site", "plant")),
            like=Like("floor", "power", "kW", 0, "energy", f"power_{field}_kw"),
        )
        for device in range(devices)
        for field in range(fields)
    ]
    return SeriesTable(1, specs, {spec.key: i for i, spec in enumerate(specs)}, {})


def readings(devices: int, fields: int) -> Batch:
    """Return one value of every series, each device at an instant of its own, to a tenth as registers have them."""
    rng = np.random.default_rng(7)
    value = np.round(rng.normal(230, 40, devices * fields), 1)
    time_ns = np.repeat(NOW_NS + rng.integers(0, 10**9, devices), fields)
    return make(Header("floor", 1, "boot", NOW_NS, 0), time_ns, np.arange(devices * fields), value)


def points(batch: Batch, specs: SeriesTable, fields: int) -> bytes:
    """Return the same wide lines made by influxdb-client."""
    lines = []
    for start in range(0, len(batch), fields):
        spec = specs.spec(int(batch.series[start]))
        point = Point(spec.like.measurement)
        for key, text in spec.tags:
            point.tag(key, text)
        for row in range(start, start + fields):
            point.field(specs.spec(int(batch.series[row])).like.field, float(batch.value[row]))
        lines.append(point.time(int(batch.time_ns[start]), WritePrecision.NS).to_line_protocol())
    return "\n".join(lines).encode()


def narrow_points(batch: Batch, specs: SeriesTable) -> bytes:
    """Return one line a value made by influxdb-client, as most scripts do it."""
    lines = []
    for row in range(len(batch)):
        spec = specs.spec(int(batch.series[row]))
        point = Point(spec.like.measurement).field(spec.like.field, float(batch.value[row]))
        for key, text in spec.tags:
            point.tag(key, text)
        lines.append(point.time(int(batch.time_ns[row]), WritePrecision.NS).to_line_protocol())
    return "\n".join(lines).encode()


def median_us(work: Callable[[], object], values: int, repeat: int) -> float:
    """Return the median CPU µs per value of `repeat` runs after one unmeasured."""
    work()
    took = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return statistics.median(took) / values * 1e6


def block(medians: dict[str, float], options: argparse.Namespace) -> str:
    """Return the block of docs/PERFORMANCE.md."""
    ours = medians["tanflow, wide"]
    rows = [[name, f"{micros:.3f} µs", f"{micros / ours:.1f} x"] for name, micros in medians.items()]
    return f"""{heading("Line protocol", "line_protocol")}

{options.devices:,} devices × {options.fields} fields into InfluxDB's line protocol, medians of {options.repeat} \
(Point: 5).

{table([["encoder", "CPU per value", "÷ tanflow"], *rows])}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a line of line protocol costs.")
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--fields", type=int, default=62)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--no-write", action="store_true", help="leave docs/PERFORMANCE.md as it is")
    options = parser.parse_args()
    specs, batch = plant(options.devices, options.fields), readings(options.devices, options.fields)
    shuffled = batch.take(np.random.default_rng(1).permutation(len(batch)))
    flagged = make(batch.header, batch.time_ns, batch.series, batch.value, INTEGRATED | UNCERTAIN)
    scattered = make(batch.header, NOW_NS + np.arange(len(batch)) * 1_000, batch.series, batch.value)
    encoder = Encoder(specs)
    runs: dict[str, tuple[Callable[[], object], int]] = {
        "tanflow, wide": (lambda: encoder.encode(batch), options.repeat),
        "tanflow, wide, rows in any order": (lambda: encoder.encode(shuffled), options.repeat),
        "tanflow, wide, every value flagged": (lambda: encoder.encode(flagged), options.repeat),
        "tanflow, every value at its own instant": (lambda: encoder.encode(scattered), options.repeat),
        "influxdb-client Point, wide": (lambda: points(batch, specs, options.fields), 5),
        "influxdb-client Point, one a value": (lambda: narrow_points(batch, specs), 5),
    }
    medians = {name: median_us(work, len(batch), repeat) for name, (work, repeat) in runs.items()}
    text = block(medians, options)
    print(text)
    if not options.no_write:
        put_block(ROOT / "docs" / "PERFORMANCE.md", "line_protocol", text)


if __name__ == "__main__":
    main()
