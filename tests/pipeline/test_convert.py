"""Energy to CO₂ against published hours, a recorded plant, and sums that must always hold."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.factor_series import FactorSeries
from config.factor_tables import grid_rows
from config.fuels import FuelError, fuel_row
from config.points import GasReference
from pipeline import quality as q
from pipeline.batch import make
from pipeline.convert import convert
from pipeline.factors import FactorTimeline, weigh
from pipeline.hourly_factors import over
from pipeline.timelines import Counted, content, fuel, grid
from tests.pipeline.tables import HEADER, HOUR, SECOND, START, meter_table, timeline

DATA = Path(__file__).parent.parent / "data"
QUARTER = HOUR // 4


def steel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ends of the quarter hours [ns], kWh and the data set's own CO₂ column [t].

    The row of 00:00 carries the date of the day that ends, so it belongs a day later.
    """
    with gzip.open(DATA / "steel" / "steel_2018_15min.csv.gz", "rt", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    ends = []
    for row in rows:
        at = datetime.strptime(row["date"], "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
        at += timedelta(days=1) if (at.hour, at.minute) == (0, 0) else timedelta()
        ends.append(int(at.timestamp()) * SECOND)
    return np.array(ends), *(np.array([float(r[c]) for r in rows]) for c in ("Usage_kWh", "CO2(tCO2)"))


def spain(folder: Path) -> FactorTimeline:
    """Return Spain's hourly intensity of 2022 [kg/kWh] as a user's series of factors."""
    file = folder / "es.csv"
    file.write_bytes(gzip.decompress((DATA / "grid_es" / "es_2022_hourly.csv.gz").read_bytes()))
    series = FactorSeries(
        file=file, region="ES", unit="g/kWh", gas="co2e", publisher="Electricity Maps", publication="2022 hourly"
    )
    return over("ES 2022", [series], None, "Europe/Madrid")


def tonnes(factor: FactorTimeline, later_ns: int = 0) -> float:
    """Return the steel year's emissions [t], its hours moved by so much."""
    ends, kwh, _ = steel()
    ends = ends + later_ns
    table = meter_table(factor)
    rows = convert(table, make(HEADER, ends, [1] * len(ends), kwh, 0, QUARTER))
    assert len(rows) == len(ends)
    return float(rows.value.sum()) / 1000


def test_the_steel_year_at_a_flat_factor_and_why_its_own_column_is_lower() -> None:
    """959,636.71 kWh · 0.4585 kg/kWh = 439.993 t; the data set's column sums to 403.81 t, 8.2 % less.

    The column is the same product, rounded half up to 10 kg in every quarter of an hour (and zero on 47 rows of
    2 January): at night a quarter of an hour emits about 2 kg, which becomes 0.00 t, every time. Rounding each row of
    one product to ±5 kg would cancel out if loads were spread evenly; half of these rows lie below 5 kg and lose all.
    """
    _, kwh, column = steel()
    assert kwh.sum() == pytest.approx(959_636.71, abs=0.005)
    total = tonnes(timeline([(0, 0.4585)]))
    assert total == pytest.approx(439.993, abs=0.0005)
    assert column.sum() == pytest.approx(403.81, abs=0.005)
    assert 1 - column.sum() / total == pytest.approx(0.082, abs=0.0005)
    rounded = np.floor(kwh * 0.4585 / 10 + 0.5) / 100
    assert (np.abs(rounded - column) < 1e-9).sum() == 34_993
    lost = (kwh * 0.4585 / 1000 - column)[column == 0].sum()
    assert lost == pytest.approx(total - column.sum(), rel=0.25)  # most of the difference stands in rows of 0.00


def test_the_steel_year_on_spains_hours(tmp_path: Path) -> None:
    """147.636 t hour by hour, 160.026 t at the mean of 166.757 g/kWh: this plant works in the sunny hours.

    The plant's 2018 stands on 2022 hour by hour of the year; neither is a leap year, 2020 between them is.
    """
    hourly = spain(tmp_path)
    measured = hourly.value[~hourly.fallback]
    assert len(measured) == 8760
    mean = float(measured.mean())
    assert mean * 1000 == pytest.approx(166.757, abs=0.0005)
    assert tonnes(hourly, 1461 * 24 * HOUR) == pytest.approx(147.636, abs=0.0005)
    assert tonnes(timeline([(0, mean)])) == pytest.approx(160.026, abs=0.0015)


def test_an_interval_over_a_step_is_split_there() -> None:
    factor = timeline([(0, 1.0), (START, 2.0)])
    kg, _ = weigh(factor, np.array([START + HOUR]), np.array([4 * HOUR]), np.array([8.0]))
    assert kg.tolist() == [6 * 1.0 + 2 * 2.0]


def test_an_interval_that_ends_at_a_step_belongs_before_it() -> None:
    factor = timeline([(0, 1.0), (START, 2.0)])
    kg, _ = weigh(factor, np.array([START, START + HOUR]), np.array([HOUR, HOUR]), np.array([1.0, 1.0]))
    assert kg.tolist() == [1.0, 2.0]


def test_an_instant_on_the_very_start_of_a_step_takes_the_step_before_it() -> None:
    factor = timeline([(0, 1.0), (START, 2.0)])
    kg_per_h, _ = weigh(factor, np.array([START - 1, START, START + 1]), np.zeros(3, np.int64), np.ones(3))
    assert kg_per_h.tolist() == [1.0, 1.0, 2.0]


@given(
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=6),
    st.integers(1, 20 * HOUR),
    st.integers(0, 10),
    st.floats(0, 1e6),
)
def test_parts_of_an_interval_emit_what_the_whole_does(values: list[float], span: int, cut: int, kwh: float) -> None:
    factor = timeline([(START + i * HOUR, v) for i, v in enumerate(values)])
    end, share = START + span, cut / 10
    middle = START + round(span * share)
    whole, _ = weigh(factor, np.array([end]), np.array([span]), np.array([kwh]))
    spans = np.array([middle - START, end - middle])
    parts, _ = weigh(factor, np.array([middle, end]), spans, kwh * spans / span)
    assert parts.sum() == pytest.approx(whole.sum(), rel=1e-9, abs=1e-6)
    assert min(values) * kwh * (1 - 1e-9) <= whole[0] <= max(values) * kwh * (1 + 1e-9)


def test_guangdongs_factor_by_each_rule() -> None:
    rows = grid_rows("CN-GD", "location_average")
    at = np.array([int(datetime(y, 7, 1, tzinfo=UTC).timestamp()) * SECOND for y in (2022, 2023, 2024, 2025, 2026)])
    same, latest = grid("gd", rows, "same_year"), grid("gd", rows, "latest_published")
    assert same.value[same.step(at)].tolist() == [0.4403, 0.4419, 0.4419, 0.4419, 0.4419]
    assert same.fallback[same.step(at)].tolist() == [False, False, True, True, True]
    # 2021's was published in April 2024, 2022's in December 2024, 2023's in December 2025.
    assert latest.value[latest.step(at)].tolist() == [0.4715, 0.4715, 0.4715, 0.4403, 0.4419]
    assert latest.fallback[latest.step(at)].tolist() == [True, True, False, False, False]
    assert {p.publisher for p in latest.provenance} == {rows[0].publisher}


def test_a_fallback_factor_is_flagged_on_the_row() -> None:
    rows = grid_rows("CN-GD", "location_average")
    table = meter_table(grid("grid", rows, "same_year"))
    at = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp()) * SECOND
    (row,) = convert(table, make(HEADER, [at], [1], 10.0, 0, HOUR)).quality.tolist()
    assert row == q.FACTOR_FALLBACK | q.UNCERTAIN


def test_a_million_cubic_metres_at_20_celsius() -> None:
    """10⁶ m³ at 20 °C are 10⁶ · 273.15/293.15 m³ at 0 °C: 2,014.7 t at 2.16219 kg/m³, not 2,162.2 t."""
    row = fuel_row("natural_gas", "ndrc-24", unit="m3")
    warm = fuel("gas", row, Counted("m3", reference=GasReference(celsius=20)), "AR5")
    kg, _ = weigh(warm, np.array([START]), np.array([HOUR]), np.array([1e6]))
    assert kg[0] / 1000 == pytest.approx(2_014.7, abs=0.05)
    normal = Counted("m3", reference=GasReference(celsius=0))
    assert fuel("gas", row, normal, "AR5").value[0] == pytest.approx(2.16219)
    assert content("gas content", row, normal).value[0] * 3.6 == pytest.approx(38.931)
    with pytest.raises(FuelError, match="reference temperature"):
        fuel("gas", row, Counted("m3"), "AR5")


def test_bad_rows_emit_nothing() -> None:
    table = meter_table()
    assert len(convert(table, make(HEADER, [START], [1], 10.0, q.BAD | q.RANGE, HOUR))) == 0
