"""A recorded steel plant as a 32-bit register over Modbus, through the running gateway, in a real InfluxDB.

The year is time-lapsed without a race: the meter lives through its next half hour (two recorded rows), and the
gateway's clock with it, whenever the gateway has come to read it. So each index is read at its own recorded time, the
last one before the reset too, and the limits of plausibility are those of the real plant (its largest quarter of an
hour is 157.18 kWh, 629 kW).

Why 439.993 t and not the 403.81 t of the data set's own column: that column is the same product rounded to 10 kg in
each quarter of an hour, see tests/pipeline/test_convert.py where this is proven row by row.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from carbon.entries import MICRO, Entries
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.restate import Span, restate_factors
from config.bindings import bind
from pipeline import quality as q
from pipeline.clock import Clock
from simulators.registers import RegisterMap
from simulators.replay import Replay, ReplayDevice
from simulators.serve_modbus import ModbusServer, Unit
from sinks.history_query import Answer
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tests.proof.running import newest, running, stored, written
from tests.services.influxd import Influxd
from tests.waiting import until

log = logging.getLogger("tests.proof.steel")

DATA = Path(__file__).parents[1] / "data" / "steel" / "steel_2018_15min.csv.gz"
QUARTER_NS = 900 * 10**9
PER_READ = 2  # rows between two polls
KWH, KG_PER_KWH = 959_636.71, 0.4585
STEP_KWH = 0.01
START_KWH = 2**32 * STEP_KWH - 300_000  # the register rolls over within the year …
RESET_ROW = 30_000  # … and is set to zero late in it
JULY = tuple(int(datetime(2018, m, 1, tzinfo=ZoneInfo("Asia/Seoul")).timestamp()) * 10**9 for m in (7, 8))
POLL_S = 0.001  # what the half hour between two polls lasts on the wall

CONFIG = """
version: 1
site: {{name: gwangyang, zone: Asia/Seoul, region: KR-STEEL}}
api: null
factors: {{rule: same_year, tables: [factors.csv]}}
connections:
  floor: {{protocol: modbus, every_s: 1800, timeout_s: 30}}
areas:
  works:
    assets:
      plant:
        type: meter
        rated_kw: 600
        devices:
          meter:
            connection: floor
            address: 127.0.0.1:{port}/1
            points:
              energy_import: {{quantity: energy_index, unit: kWh, scale: 0.01, modbus: {{address: 0, type: uint32}}}}
              sequence: {{quantity: count, unit: "1", modbus: {{address: 2, type: uint32}}}}
sinks:
  influx: {{type: influxdb, api: v1, url: "{influx}", database: plant}}
data: {{dir: data, commit_ms: 50, history: {{raw_days: 400}}}}
"""
FACTORS = """\
region,region_name,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence,licence
KR-STEEL,,location_average,0.4585,kg/kWh,co2,2018,2017-12-31,2018-12-31,data set,factor,2021,its CO2 column,high,
"""


@dataclass(slots=True)
class Lapsed(Clock):
    """Gateway time that stands until it is moved on; waits pass `speed` times as fast as it says."""

    elapsed_ns: int = 0

    def monotonic_ns(self) -> int:
        return self.elapsed_ns

    def at(self, monotonic_s: float) -> int:
        return self.now_ns()


class Meter(Unit):
    """The plant's meter; each read of it is half an hour after the one before. The first is before the year."""

    def __init__(self, device: ReplayDevice, clock: Lapsed) -> None:
        super().__init__()
        self.device, self.clock = device, clock
        self.map: RegisterMap | None = None
        self.reads = 0

    def read(self, function: int, address: int, count: int) -> bytes:
        assert self.map is not None
        for _ in range(PER_READ if self.reads else 0):
            self.clock.elapsed_ns += QUARTER_NS
            if not self.device.finished:
                self.device.step(self.clock.now_ns(), 900.0)
                assert self.clock.now_ns() == self.device.recorded_ns
        index = self.device.readings.get("energy_import", START_KWH)
        self.show(self.map.encode({"energy_import": index, "sequence": float(self.reads)}))
        self.reads += 1
        return super().read(function, address, count)


def booked(gateway: Gateway) -> dict[str, int]:
    """Return the ledger's energy [mWh] and CO₂ [mg] of the plant, location-based."""
    with Ledger.open(gateway.directory.path) as ledger:
        (line,) = [n for n, known in ledger.lines.items() if known.method == "location" and known.scope == 2] or [-1]
        rows = Entries.join(list(ledger.read(lines={line})))
    return {"energy": int(rows.energy.sum()), "co2": int(rows.co2.sum())}


def restate_july(gateway: Gateway) -> int:
    """Give July another factor; return the ledger's last block."""
    with Ledger.open(gateway.directory.path, write=True) as ledger:
        (line,) = [n for n, known in ledger.lines.items() if known.method == "location" and known.scope == 2]
        (factor,) = {
            f for f in ledger.factors.values() if "location" in f.id and f.provenance.variant == "exact" and f.kwh
        }
        other = replace(factor, kg=(0.5, 0.0, 0.0, 0.0, 0.0))
        span = Span(*JULY, ZoneInfo("Asia/Seoul"))
        difference = restate_factors(
            ledger, {line: FactorSteps.constant(other)}, span, Reason("restatement", "a corrected figure", "Li")
        )
        assert difference.changed == 31 * 24
        return ledger.head().seq


def recorded() -> ReplayDevice:
    replay = Replay.model_validate(
        {
            "file": DATA,
            "time": "date",
            "time_format": "%d/%m/%Y %H:%M",
            "zone": "Asia/Seoul",
            "ends_day": True,
            "counters": {"energy_import": {"column": "Usage_kWh", "start": START_KWH, "resets": (RESET_ROW,)}},
            "energy": "energy_import",
        }
    )
    return ReplayDevice("plant", replay)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a gateway has of the year: rows of its history, and its account before and after July was restated."""

    energy: Answer
    carbon: Answer
    sequence: Answer
    account: dict[str, int]
    restated: dict[str, int]


async def lived_through(device: ReplayDevice, influx: Influxd, folder: Path) -> Kept:
    """Read the whole year, book it, restate July and publish that."""
    reads = len(device.recording) // PER_READ
    clock = Lapsed(device.recording.time_ns[0] - QUARTER_NS, speed=1800 / POLL_S)
    meter = Meter(device, clock)
    (folder / "factors.csv").write_text(FACTORS)
    async with ModbusServer(units={1: meter}) as server:
        loaded = written(folder, CONFIG.format(port=server.port, influx=influx.url))
        (bound,) = bind(loaded.gateway, loaded.templates)
        meter.map = RegisterMap(bound.points, bound.modbus)
        async with open_gateway(loaded.gateway, loaded.templates, base=folder, clock=clock) as gateway:
            async with running(gateway):
                await until(lambda: newest(gateway, "plant.sequence.count") >= reads, what="the year is read")
                await until(lambda: booked(gateway)["energy"] >= (KWH - 1) * MICRO, what="the year is booked")
                account = booked(gateway)
                restated = restate_july(gateway)
                await until(lambda: gateway.publisher.seq >= restated, what="the restatement is published")
            energy, carbon, sequence = [
                await stored(gateway, f"plant.{point}")
                for point in ("energy_import.energy", "energy_import.co2e", "sequence.count")
            ]
            return Kept(energy, carbon, sequence, account, booked(gateway))


async def test_a_year_of_steel_in_influxdb_and_in_the_history(influx: Influxd, tmp_path: Path) -> None:
    influx.create("plant")
    device = recorded()
    kept = await lived_through(device, influx, tmp_path)
    reads = len(device.recording) // PER_READ
    assert kept.sequence.value[: reads + 1].tolist() == list(range(reads + 1)), "each index was read once"
    the_year_is_whole(kept)
    only_the_reset_is_in_doubt(kept.energy, device.recording.time_ns)
    the_database_says_the_same(kept, influx)
    the_account_is_the_same_in_the_database(kept, influx)
    verdict = verify(tmp_path / "data")
    assert verdict.ok, verdict.problems


def the_year_is_whole(kept: Kept) -> None:
    """To the register's resolution: each end of the sum is rounded by half a step at most; so is the index lost at the
    reset, and the one that follows it. The account has the same year, in integers.
    """
    energy, carbon = kept.energy.value.sum(), kept.carbon.value.sum()
    log.info("%.2f kWh, %.5f t in the history", energy, carbon / 1000)
    assert energy == pytest.approx(KWH, abs=2 * STEP_KWH)
    assert carbon == pytest.approx(KWH * KG_PER_KWH, abs=2 * STEP_KWH * KG_PER_KWH)
    assert carbon / 1000 == pytest.approx(439.993, abs=0.0005)
    assert kept.account["energy"] / MICRO == pytest.approx(KWH, abs=2 * STEP_KWH)
    assert kept.account["co2"] / MICRO / 1000 == pytest.approx(439.993, abs=0.0005)


def only_the_reset_is_in_doubt(energy: Answer, recorded_ns: npt.NDArray[np.int64]) -> None:
    assert np.count_nonzero(energy.quality & q.ROLLOVER) == 1
    (reset,) = np.flatnonzero(energy.quality & q.RESET).tolist()
    assert energy.time_ns[reset] == recorded_ns[RESET_ROW + 2 * PER_READ - 1], "confirmed by the next read"
    assert energy.span_ns[reset] == 2 * PER_READ * QUARTER_NS
    others = np.delete(energy.quality, reset) & ~np.uint16(q.ROLLOVER)
    assert not others.any(), "nothing else is in doubt"


def the_database_says_the_same(kept: Kept, influx: Influxd) -> None:
    (total,) = influx.query("plant", 'SELECT sum("energy_kwh") FROM "energy"')
    assert total["sum"] == pytest.approx(float(kept.energy.value.sum()), abs=1e-6)
    (emitted,) = influx.query("plant", 'SELECT sum("co2e_kg") FROM "emissions"')
    assert emitted["sum"] == pytest.approx(float(kept.carbon.value.sum()), abs=1e-6)
    flags = [row["energy_kwh_q"] for row in influx.query("plant", 'SELECT "energy_kwh_q" FROM "energy"')]
    assert sorted(flag & (q.ROLLOVER | q.RESET) for flag in flags) == [q.RESET, q.ROLLOVER]


def the_account_is_the_same_in_the_database(kept: Kept, influx: Influxd) -> None:
    """After the restatement of July still the same figure in the ledger and in the database, to the gram."""
    assert (JULY[1] - JULY[0]) / 86_400e9 == 31
    assert kept.restated["energy"] == kept.account["energy"]
    assert kept.restated["co2"] != kept.account["co2"]
    (published,) = influx.query("plant", 'SELECT sum("account_co2e_kg") FROM "emissions" WHERE method = \'location\'')
    assert published["sum"] == pytest.approx(kept.restated["co2"] / MICRO, abs=1e-3)
    (published,) = influx.query("plant", 'SELECT sum("account_energy_kwh") FROM "emissions"')
    assert published["sum"] == pytest.approx(kept.restated["energy"] / MICRO, abs=1e-3)
