"""Factor tables: known values, one publisher per series, and mistakes in a user's table told by line."""

from itertools import groupby, pairwise
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.factor_tables import grid_rows, nearest_regions, read_table, shipped

HEADER = (
    "region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence\n"
)
KIND = "location_average"


def row(region: str, publisher: str = "utility", year: int = 2025, value: str = "0.3") -> str:
    return f"{region},{KIND},{value},kg/kWh,co2e,{year},{year}-01-01,{year}-12-31,{publisher},p,{year},s,high\n"


def test_guangdong_by_year_as_published() -> None:
    rows = grid_rows("CN-GD", KIND)
    assert [(r.data_year, r.value, r.published_on) for r in rows] == [
        (2021, 0.4715, "2024-04-12"),
        (2022, 0.4403, "2024-12-20"),
        (2023, 0.4419, "2025-12-31"),
    ]
    assert {r.gas for r in rows} == {"co2"}


def test_china_has_30_provinces_and_tibet_is_not_invented() -> None:
    provinces = {r.region for r in shipped() if r.kind == KIND and r.region.startswith("CN-") and r.data_year == 2022}
    assert "CN-XZ" not in provinces
    assert {"CN-BJ", "CN-SH", "CN-GD", "CN-XJ"} <= provinces
    assert grid_rows("CN-XZ", KIND) == ()


def test_the_reporting_series_of_china_is_not_mixed_into_the_average() -> None:
    assert not {0.5703, 0.5810, 0.6101} & {r.value for r in grid_rows("CN", KIND)}


def test_chinas_rest_of_the_market_rises_while_the_average_falls() -> None:
    """It leaves out non-fossil power that was traded, so it is another kind and never a newer average."""
    assert [r.value for r in grid_rows("CN", "ex_market")] == [0.5942, 0.5856, 0.6096]
    assert [r.value for r in grid_rows("CN", KIND)] == sorted((r.value for r in grid_rows("CN", KIND)), reverse=True)


def test_life_cycle_and_reporting_figures_are_kinds_of_their_own() -> None:
    assert [(r.data_year, r.value) for r in grid_rows("CN", "product_footprint")] == [(2024, 0.5777)]
    assert [r.value for r in grid_rows("CN", "ets_reporting")] == [0.581, 0.5703]
    assert {r.publisher for r in shipped() if r.kind == "life_cycle"} == {"Ember"}
    assert len({r.region for r in shipped() if r.kind == "life_cycle"}) == 212


def test_what_is_not_ours_to_pass_on_is_not_shipped() -> None:
    publishers = " ".join({r.publisher for r in shipped()})
    assert not [name for name in ("AIB", "Green-e", "Electricity Maps", "IFI") if name in publishers]
    assert not [r for r in shipped() if "memory" in r.source or "memory" in r.confidence]


def test_no_series_mixes_publishers_or_overlaps() -> None:
    rows = sorted(shipped(), key=lambda r: (r.region, r.kind, r.valid_from))
    for key, series in groupby(rows, key=lambda r: (r.region, r.kind)):
        steps = list(series)
        assert len({r.publisher for r in steps}) == 1, key
        assert all(a.valid_to < b.valid_from for a, b in pairwise(steps)), key


def test_every_value_is_plausible_sourced_and_licensed() -> None:
    for r in shipped():
        assert 0 <= r.value < 2, r
        assert r.source, r
        assert r.licence, r


def test_a_users_table_replaces_the_shipped_series(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEADER + row("GB", value="0.1"))
    assert [r.value for r in grid_rows("GB", KIND, [tmp_path / "own.csv"])] == [0.1]
    assert len(grid_rows("DE", KIND, [tmp_path / "own.csv"])) == 1


def test_two_publishers_in_a_users_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(HEADER + row("X", "one", 2024) + row("X", "two", 2025))
    with pytest.raises(ConfigError, match="one and two; publishers must not mix"):
        grid_rows("X", KIND, [tmp_path / "own.csv"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t.csv:1: table: columns missing: data_year, publisher"),
        (HEADER + row("X", value="none"), "t.csv:2: value: must be a number, not 'none'"),
        (HEADER + row("X") + row("X", value="-1"), "t.csv:3: value: must be greater than or equal to 0, not '-1'"),
        (HEADER + row("X").replace("2025-12-31", "2024-12-31"), "t.csv:2: row: valid_from must not be later"),
        (HEADER + row("X").replace("kg/kWh", "g/kWh"), "t.csv:2: unit: 'g/kWh' is not known here"),
        (HEADER + row("X").replace("utility", ""), "t.csv:2: publisher: must have at least 1 character"),
        (HEADER + row("X").replace("\n", ",more\n"), "t.csv:2: "),
        (HEADER + '"', "t.csv:1: table: is not CSV"),
    ],
)
def test_mistakes_in_a_table_are_told_by_line(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_table(tmp_path / "t.csv")
    assert str(caught.value).startswith(f"{tmp_path}/{told}")


def test_nearest_regions_know_names_and_codes() -> None:
    assert nearest_regions("guangdong", KIND)[0] == "CN-GD"
    assert nearest_regions("CN-GDD", KIND)[0] == "CN-GD"
    assert nearest_regions("DE-BY", KIND) == ["DE"]
    assert nearest_regions("", KIND) == []
