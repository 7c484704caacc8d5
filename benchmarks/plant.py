"""Numbers of devices and values enter, simulated Modbus units and the gateway.yaml that reads them leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.process import Program, python

# What a large power meter shows; the first value is the power that energy and CO₂ are computed from.
_QUANTITIES = (
    ("power", "kW"),
    *(("voltage", "V"),) * 12,
    *(("current", "A"),) * 13,
    *(("reactive_power", "kvar"),) * 12,
    *(("apparent_power", "kVA"),) * 12,
    *(("distortion", "%"),) * 12,
)


@dataclass(frozen=True, slots=True)
class Plant:
    """Simulated devices behind `ports` of loopback, `units` on each, `values` float32 input registers a device."""

    ports: tuple[int, ...]
    units: int
    values: int

    @property
    def points(self) -> dict[str, tuple[str, str]]:
        """Point name → (quantity, unit), in the order of the registers."""
        return {f"v{i:02d}" if i else "power": pair for i, pair in enumerate(_QUANTITIES[: self.values])}

    @property
    def devices(self) -> int:
        return len(self.ports) * self.units


@contextmanager
def simulated(directory: Path, ports: int, units: int, values: int) -> Iterator[Plant]:
    """Serve the devices in a process of their own; every value drifts every second."""
    arguments = ["--ports", str(ports), "--units", str(units), "--registers", str(2 * values)]
    log = directory / "plant.log"
    with Program(python("-m", "simulators.serve_modbus", *arguments), log, stdout=True) as program:
        assert program.process.stdout is not None
        first = program.process.stdout.readline()
        program.check() if not first else None
        yield Plant(tuple(orjson.loads(first)["ports"]), units, values)


def configuration(plant: Plant, directory: Path, url: str, database: str, api_port: int, every_s: float = 1.0) -> Path:
    """Write the gateway.yaml that reads all of it each `every_s` and delivers to InfluxDB 1.x; return its path."""
    points = {
        name: {"quantity": quantity, "unit": unit, "modbus": {"table": "input", "address": 2 * i, "type": "float32"}}
        for i, (name, (quantity, unit)) in enumerate(plant.points.items())
    }
    assets = {
        f"machine-{port}-{unit}": {
            "type": "meter",
            "rated_kw": 2_000,
            "energy": "integrate",
            "devices": {"m": {"connection": "floor", "address": f"127.0.0.1:{port}/{unit}", "template": "machine"}},
        }
        for port in plant.ports
        for unit in range(1, plant.units + 1)
    }
    gateway: dict[str, Any] = {
        "version": 1,
        "site": {"name": "bench", "zone": "Asia/Shanghai", "region": "CN-GD"},
        "data": {"dir": str(directory / "data")},
        "api": {"port": api_port},
        "templates": {"machine": {"protocol": "modbus", "points": points}},
        "connections": {"floor": {"protocol": "modbus", "every_s": every_s}},
        "areas": {"hall": {"assets": assets}},
        "sinks": {"influx": {"type": "influxdb", "api": "v1", "url": url, "database": database}},
    }
    path = directory / "gateway.yaml"
    path.write_bytes(orjson.dumps(gateway))  # JSON is YAML
    return path
