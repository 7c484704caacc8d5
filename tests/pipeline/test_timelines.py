"""Timelines of factors: days of the site's zone, a series over annual figures, what fills a gap, and their JSON."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from config.errors import ConfigError
from config.factor_series import FactorSeries
from config.factor_tables import GridRow, grid_rows
from config.fuels import FuelError, fuel_row
from config.model import Gateway
from config.points import GasReference
from pipeline.factors import FactorTimeline, weigh
from pipeline.hourly_factors import over
from pipeline.timelines import Counted, content, fuel, grid, grid_timeline

HOUR = 3_600_000_000_000
ABOUT = {"region": "X", "unit": "g/kWh", "gas": "co2", "publisher": "someone", "publication": "hourly"}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def year(number: int, value: float, published: str = "") -> GridRow:
    return GridRow.model_validate(
        {
            "region": "X", "kind": "location_average", "value": value, "unit": "kg/kWh", "gas": "co2",
            "data_year": number, "valid_from": f"{number}-01-01", "valid_to": f"{number}-12-31",
            "publisher": "state", "publication": f"of {number}", "published_on": published, "source": "s",
            "confidence": "high",
        }
    )  # fmt: skip


def series(folder: Path, rows: list[tuple[str, float]], **known: Any) -> FactorSeries:
    name = f"s{len(list(folder.iterdir()))}.csv"
    (folder / name).write_text("t,g\n" + "".join(f"{t},{g}\n" for t, g in rows))
    return FactorSeries.model_validate({"file": folder / name, **ABOUT} | known)


def hours(first: str, count: int, value: float) -> list[tuple[str, float]]:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()
    return [(f"{datetime.fromtimestamp(start + i * 3600, UTC):%Y-%m-%dT%H:%MZ}", value) for i in range(count)]


def value(timeline: FactorTimeline, when: str) -> tuple[float, bool]:
    """Return the factor of the second that begins then, and whether it is a fallback."""
    step = timeline.step(np.array([at(when) + 1]))
    return round(float(timeline.value[step][0]), 9), bool(timeline.fallback[step][0])


# ── days of the site's zone ───────────────────────────────────────────────────────────────────────


def test_a_year_begins_at_the_sites_midnight() -> None:
    """In Shanghai 2025 begins at 16:00 UTC of 31 December, in New York at 05:00 UTC of 1 January."""
    rows = [year(2024, 0.5), year(2025, 0.4)]
    china, states = (grid("x", rows, "same_year", zone) for zone in ("Asia/Shanghai", "America/New_York"))
    assert (value(china, "2024-12-31 15:59")[0], value(china, "2024-12-31 16:00")[0]) == (0.5, 0.4)
    assert (value(states, "2025-01-01 04:59")[0], value(states, "2025-01-01 05:00")[0]) == (0.5, 0.4)
    assert value(china, "2025-12-31 16:00") == (0.4, True)


def test_a_fiscal_year_that_ends_in_summer_time() -> None:
    """30 June in Sydney (UTC+10): 2025-26 begins at 14:00 UTC of 30 June."""
    period = {"valid_from": "2024-07-01", "valid_to": "2025-06-30"}
    row = GridRow.model_validate(year(2024, 0.64).model_dump() | period)
    line = grid("x", [row], "same_year", "Australia/Sydney")
    assert [value(line, t)[1] for t in ("2025-06-30 13:59", "2025-06-30 14:00")] == [False, True]


def test_what_is_published_counts_from_its_day_there() -> None:
    rows = [year(2021, 0.5, "2023-04-12"), year(2022, 0.4, "2024-12-20")]
    line = grid("x", rows, "latest_published", "Asia/Shanghai")
    assert (value(line, "2024-12-19 15:59")[0], value(line, "2024-12-19 16:00")[0]) == (0.5, 0.4)


# ── series ────────────────────────────────────────────────────────────────────────────────────────


def test_a_gap_takes_the_mean_of_its_month_then_of_its_year_then_the_annual_figure(tmp_path: Path) -> None:
    """All of January but one hour at 100 g, 100 hours of February at 300 g, from April on 200 g; March is missing.

    January's hole takes January's mean; February and March know too little, so they take the year's: 743 h · 100,
    100 h · 300 and 6,600 h · 200 g over 7,443 h are 191.361 g. 2026 has no series: the annual figure.
    """
    january = [h for h in hours("2025-01-01", 744, 100) if h[0] != "2025-01-10T05:00Z"]
    rows = january + hours("2025-02-01", 100, 300) + hours("2025-04-01", 275 * 24, 200)
    annual = grid("x", [year(2024, 0.5), year(2026, 0.6)], "same_year")
    line = over("x", [series(tmp_path, rows)], annual, "UTC")
    mean = round((743 * 0.1 + 100 * 0.3 + 6600 * 0.2) / 7443, 9)
    assert value(line, "2025-01-10 04:59") == (0.1, False)
    assert value(line, "2025-01-10 05:30") == (0.1, True)
    assert value(line, "2025-02-05 03:30") == (0.3, False)
    assert value(line, "2025-02-05 04:30") == (mean, True)
    assert value(line, "2025-03-15") == (mean, True)
    assert value(line, "2025-06-15") == (0.2, False)
    assert value(line, "2024-06-15") == (0.5, True)  # the annual figure where a series was asked for
    assert value(line, "2026-06-15") == (0.6, True)
    assert (line.start_ns[1:] > line.start_ns[:-1]).all()
    texts = {p.publication for p in line.provenance}
    assert texts == {
        "hourly", "of 2024", "of 2026", "hourly, mean of 2025-01 for what is missing",
        "hourly, mean of 2025 for what is missing",
    }  # fmt: skip


def test_a_series_alone_serves_other_years_with_its_nearest_mean(tmp_path: Path) -> None:
    line = over("x", [series(tmp_path, hours("2025-03-01", 24, 250))], None, "UTC")
    assert [value(line, t) for t in ("2020-01-01", "2025-03-01 12:00", "2030-01-01")] == [
        (0.25, True), (0.25, False), (0.25, True),
    ]  # fmt: skip


def test_months_of_a_gap_are_the_sites(tmp_path: Path) -> None:
    """In Berlin February begins at 23:00 UTC of 31 January: the hole there takes February's mean."""
    rows = hours("2024-12-31T23:00", 744, 100) + hours("2025-02-01", 28 * 24 - 1, 300)
    line = over("x", [series(tmp_path, rows)], None, "Europe/Berlin")
    assert value(line, "2025-01-31 22:30") == (0.1, False)
    assert value(line, "2025-01-31 23:30") == (0.3, True)


def test_years_in_two_files_are_one_series(tmp_path: Path) -> None:
    files = [series(tmp_path, hours("2026-01-01", 24, 200)), series(tmp_path, hours("2025-12-31", 24, 100))]
    line = over("x", files, None, "UTC")
    assert [value(line, t) for t in ("2025-12-31 12:00", "2026-01-01 12:00")] == [(0.1, False), (0.2, False)]
    assert {p.data_year for p in line.provenance if p.variant == "exact"} == {2025, 2026}


def gateway(**factors: Any) -> Gateway:
    plant = {"version": 1, "site": {"name": "s", "region": "CN-GD", "zone": "Asia/Shanghai"}, "connections": {}}
    return Gateway.model_validate(plant | {"areas": {}, "factors": factors})


def test_a_configuration_chooses_series_tables_and_publishers(tmp_path: Path) -> None:
    plain = grid_timeline(gateway(rule="same_year"), "CN-GD", "location_average")
    assert value(plain, "2023-07-01") == (0.4419, False)
    hourly = series(tmp_path, hours("2023-07-01", 24, 111), region="CN-GD")
    mixed = grid_timeline(gateway(rule="same_year", series=[hourly]), "CN-GD", "location_average")
    assert [value(mixed, t) for t in ("2023-07-01 05:00", "2022-07-01")] == [(0.111, False), (0.4403, True)]
    with pytest.raises(LookupError, match="no residual_mix grid factor is known for region 'CN-GD'"):
        grid_timeline(gateway(), "CN-GD", "residual_mix")


def test_publishers_are_chosen_not_mixed(tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    names = [n for n in GridRow.model_fields if n not in ("licence", "region_name", "uncertainty")]
    rows = [year(2024, 0.5), year(2025, 0.3).model_copy(update={"publisher": "utility"})]
    text = [",".join(names), *(",".join(str(getattr(r, n)) for n in names) for r in rows)]
    table.write_text("\n".join(text) + "\n")
    with pytest.raises(ConfigError, match=r"publishers must not mix: write .*factors\.publishers.*\['state'\]"):
        grid_timeline(gateway(tables=[table]), "X", "location_average")
    chosen = grid_timeline(gateway(tables=[table], publishers=["utility"]), "X", "location_average")
    assert set(chosen.value.tolist()) == {0.3}


# ── what is kept of them ──────────────────────────────────────────────────────────────────────────


def test_a_year_of_hours_says_who_once(tmp_path: Path) -> None:
    line = over("x", [series(tmp_path, hours("2025-01-01", 8760, 100))], None, "UTC")
    data = orjson.loads(orjson.dumps(line.to_json()))
    assert len(data["said"]) == 2  # the hours, and their mean before and after
    again = FactorTimeline.from_json(data)
    assert again.provenance == line.provenance
    assert (again.start_ns == line.start_ns).all()
    assert (again.value == line.value).all()


def test_plans_written_before_are_still_read() -> None:
    line = grid("x", grid_rows("CN-GD", "location_average"), "same_year")
    data = line.to_json()
    before = {k: v for k, v in data.items() if k != "said"}
    before["provenance"] = [data["said"][i] for i in data["provenance"]]
    assert FactorTimeline.from_json(before).provenance == line.provenance


def test_a_quarter_hour_within_a_step_and_one_over_two(tmp_path: Path) -> None:
    """8 kWh from 00:30 to 01:30 over 100 and 200 g/kWh: 4 · 0.1 + 4 · 0.2 = 1.2 kg."""
    line = over("x", [series(tmp_path, [("2025-01-01T00:00Z", 100), ("2025-01-01T01:00Z", 200)])], None, "UTC")
    kg, fallback = weigh(line, np.array([at("2025-01-01 01:30")]), np.array([HOUR]), np.array([8.0]))
    assert (kg[0], fallback[0]) == (pytest.approx(1.2), False)


# ── fuels ─────────────────────────────────────────────────────────────────────────────────────────


def test_fuels_are_constant_and_say_what_they_rest_on() -> None:
    litres = fuel("d", fuel_row("diesel", "ndrc-24", unit="L"), Counted("L"), "AR5")
    assert litres.unit == "kg/L"
    assert "density 830.565" in litres.provenance[0].source
    energy = fuel("g", fuel_row("natural_gas", "ndrc-24"), Counted("kWh", calorific="net"), "AR5")
    assert energy.value[0] == pytest.approx(0.0036 * 0.0153 * 0.99 * 44 / 12 * 1000)
    heat = content("g", fuel_row("natural_gas", "ndrc-24"), Counted("m3", reference=GasReference(celsius=0)))
    assert (heat.unit, heat.value[0]) == ("kWh/m3", pytest.approx(38.931 / 3.6))
    lone = fuel_row("coal_electricity_generation_home_produced_coal_only", "desnz-2025", unit="t")
    with pytest.raises(FuelError, match="states no calorific value"):
        content("x", lone.model_copy(update={"gj_per_unit": None}), Counted("t"))
