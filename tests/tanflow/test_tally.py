"""The demo's account beside the simulator's truth: sums, samples and bounds by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import quality as q
from pipeline.batch import DERIVED, Batch, make
from pipeline.log.writer import Entry
from pipeline.series import SeriesTable
from pipeline.spec import Kind, Spec
from simulators.device import Device
from tanflow.tally import Line, Tally, compare
from tests.pipeline.journal import open_log
from tests.pipeline.tables import HEADER, SECOND, START, spec, timeline

SEQUENCE, INDEX, ENERGY, CARBON, POWER = range(5)
DERIVED_HEADER = replace(HEADER, stratum=DERIVED)


class Steady(Device):
    """Uses 3,600 kW: one kWh a second; after step k, k + 1 kWh."""

    def advance(self, now_ns: int, dt_s: float) -> float:
        return 3_600.0


def table(resolution: float = 0.5) -> SeriesTable:
    def known(key: str, kind: Kind = Kind.GAUGE, **more: object) -> Spec:
        return spec(f"a.{key}", kind, **more)

    specs = [
        known("sequence.count"),
        known("e.energy_index", Kind.COUNTER, amount="a.e.energy", resolution=resolution),
        known("e.energy", Kind.DELTA, stratum=1, field="energy_kwh", products=(("a.e.co2e", "grid"),)),
        known("e.co2e", Kind.DELTA, stratum=1),
        known("power.power"),
    ]
    return SeriesTable(1, specs, {s.key: n for n, s in enumerate(specs)}, {"grid": timeline([(0, 0.5)])})


def device(steps: int = 20) -> Steady:
    steady = Steady("a")
    for n in range(steps):
        steady.step(START + n * SECOND, 1.0)
    return steady


def sample(step: int, index: float, since: int | None = None, quality: int = 0) -> list[Batch]:
    """Return what one reading at a step becomes: sequence and index, and the kWh since an earlier step."""
    at = START + step * SECOND
    measured = make(HEADER, at, [SEQUENCE, INDEX], [step, index])
    if since is None:
        return [measured]
    span = (step - since) * SECOND
    kwh = float(step - since)
    return [measured, make(DERIVED_HEADER, at, [ENERGY, CARBON], [kwh, kwh / 2], quality, span)]


def line(tally: Tally) -> Line:
    (found,) = compare(tally.accounts, {"a": device()})
    return found


def taken(*batches: Batch, since_ns: int = 0, resolution: float = 0.5) -> Tally:
    tally = Tally(table(resolution), 0, since_ns)
    for batch in batches:
        tally._take(batch)
    return tally


def test_energy_and_carbon_between_the_first_and_last_counted_sample() -> None:
    """Samples at steps 2, 5 and 9: 3 + 4 kWh, true 7 kWh, half as many kg; one register step may be missing."""
    tally = taken(*sample(2, 3.0), *sample(5, 6.0, since=2), *sample(9, 10.0, since=5))
    found = line(tally)
    assert (found.energy_kwh, found.true_kwh, found.co2e_kg) == (7.0, pytest.approx(7.0), 3.5)
    assert found.bound_kwh == pytest.approx(0.5, rel=1e-6)
    assert (found.basis, found.agrees) == ("register", True)
    assert (tally.readings, tally.rows) == (6, 10)


def test_more_than_a_register_step_beside_the_truth_differs() -> None:
    batches = [*sample(2, 3.0), *sample(5, 6.0, since=2)]
    assert not line(taken(*batches, make(DERIVED_HEADER, START + 6 * SECOND, [ENERGY], 1.6, 0, SECOND))).agrees


def test_integrated_power_of_a_steady_load_has_no_bound_but_rounding() -> None:
    tally = taken(*sample(2, 3.0), *sample(5, 6.0, since=2, quality=q.INTEGRATED))
    found = line(tally)
    assert found.basis == "integrated power"
    assert found.bound_kwh == pytest.approx(3 * 2.0**-23)


def test_power_nobody_read_is_on_neither_side() -> None:
    """Integrated from step 2 to 5 and from 9 to 12; between them the gateway was held up: 6 kWh of 10, true 6 of 10."""
    batches = [*sample(2, 3.0), *sample(5, 6.0, since=2, quality=q.INTEGRATED), *sample(9, 10.0)]
    found = line(taken(*batches, *sample(12, 13.0, since=9, quality=q.INTEGRATED)))
    assert (found.energy_kwh, found.true_kwh) == (6.0, pytest.approx(6.0))
    assert found.bound_kwh == pytest.approx(6 * 2.0**-23)
    less = line(taken(*batches, make(DERIVED_HEADER, START + 12 * SECOND, [ENERGY], 2.9, q.INTEGRATED, 3 * SECOND)))
    assert not less.agrees


def test_an_asset_without_samples_does_not_agree() -> None:
    found = line(taken())
    assert found.basis == "no sample accepted"
    assert not found.agrees


def test_the_interval_from_an_earlier_run_belongs_to_no_account() -> None:
    """The last run's samples are older than this one; the first interval reaches back to them and is left out."""
    tally = taken(*sample(1, 2.0), *sample(5, 6.0, since=1), *sample(9, 10.0, since=5), since_ns=START + 3 * SECOND)
    found = line(tally)
    assert (found.energy_kwh, found.co2e_kg, found.true_kwh) == (4.0, 2.0, pytest.approx(4.0))
    assert tally.rows == 10


async def test_it_follows_the_log_from_its_position_on(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    position = await log.append(Entry(sample(1, 2.0)))
    await log.append(Entry(sample(2, 3.0, since=1)))
    tally = Tally(table(), position)
    assert tally.step(log)
    assert not tally.step(log)
    assert (tally.position, tally.readings, tally.rows) == (log.position, 2, 4)
    await log.close()
