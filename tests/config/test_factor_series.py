"""Series of hourly factors: read strictly from CSV and Parquet, in any zone, over both changes of the clock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from config.errors import ConfigError
from config.factor_series import FactorSeries, edge_mistake, read_series

HOUR = 3_600_000_000_000


def series(file: Path, **known: Any) -> FactorSeries:
    about = {"region": "DE", "unit": "g/kWh", "gas": "co2", "publisher": "someone", "publication": "hourly"}
    return FactorSeries.model_validate({"file": file, **about} | known)


def written(folder: Path, text: str, name: str = "h.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_local_hours_over_the_lost_and_the_doubled_hour(tmp_path: Path) -> None:
    """Berlin 2018: 25 March has no 02:00, 28 October has it twice (00:00 and 01:00 UTC)."""
    spring = "2018-03-25 01:00,400\n2018-03-25 03:00,300\n"
    autumn = "2018-10-28 01:00,1\n2018-10-28 02:00,2\n2018-10-28 02:00,3\n2018-10-28 03:00,4\n"
    steps = read_series(series(written(tmp_path, "time,g\n" + spring + autumn), zone="Europe/Berlin"))
    assert steps.start_ns[:2].tolist() == [at("2018-03-25 00:00"), at("2018-03-25 01:00")]
    assert steps.start_ns[2:].tolist() == [at("2018-10-27 23:00") + i * HOUR for i in range(4)]
    assert steps.value.tolist() == [0.4, 0.3, 0.001, 0.002, 0.003, 0.004]


def test_stamps_may_name_the_end_and_carry_their_own_offset(tmp_path: Path) -> None:
    file = written(tmp_path, "g,when\n500,2025-01-01T01:00:00+01:00\n,2025-01-01T02:00+01:00\n600,2025-01-01T02:00Z\n")
    steps = read_series(series(file, time_column="when", value_column="g", stamps="end"))
    assert steps.start_ns.tolist() == [at("2024-12-31 23:00"), at("2025-01-01 01:00")]  # the empty hour is a gap


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"])
def test_parquet_is_read_like_csv(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "h.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT CAST('2025-01-01 00:00:00' AS {kind}) AS t, 100.5 AS g UNION ALL "
            f"SELECT CAST('2025-01-01 01:00:00' AS {kind}), NULL UNION ALL "
            f"SELECT CAST('2025-01-01 02:00:00' AS {kind}), 300) TO '{file}' (FORMAT parquet)"
        )
    steps = read_series(series(file))
    assert steps.start_ns.tolist() == [at("2025-01-01 00:00"), at("2025-01-01 02:00")]
    assert np.allclose(steps.value, [0.1005, 0.3])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "h.csv:1: series: needs a column of times and one of values"),
        ("t,g\n", "h.csv:1: series: has no values"),
        ("t,g\n2025-01-01 00:00,4\n01.01.2025 01:00,4\n", "h.csv:3: series: '01.01.2025 01:00' is not a time"),
        ("t,g\n2025-01-01 00:00,n/a\n", "h.csv:2: series: 'n/a' is not a number; leave the cell empty"),
        ("t,g\n2025-01-01 00:00,400000\n", "h.csv:2: series: 400 kg/kWh is not a grid's factor; is unit: right?"),
        ("t,g\n2025-01-01 00:00,-1\n", "h.csv:2: series: -0.001 kg/kWh is not"),
        ("t,g\n2025-01-01 00:00,nan\n", "h.csv:2: series: nan kg/kWh is not"),
        ("t,g\n2025-01-01 01:00,4\n2025-01-01 00:00,4\n", "h.csv:3: series: times must go up"),
        ("t,g\n2025-01-01 00:00,4\n2025-01-01 00:15,4\n", "h.csv:3: series: is less than 60min after"),
    ],
)
def test_mistakes_are_told_by_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_series(series(written(tmp_path, text)))
    assert str(caught.value).startswith(f"{tmp_path}/{told}")


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="and 30 more mistakes"):
        read_series(series(written(tmp_path, "t,g\n" + "never,1\n" * 50)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for file, told in ((tmp_path / "none.csv", "cannot be read"), (written(tmp_path, "x", "x.parquet"), "as Parquet")):
        with pytest.raises(ConfigError, match=told):
            read_series(series(file))
    with pytest.raises(ConfigError, match="there is no column 'kg'; did you mean 'g'"):
        read_series(series(written(tmp_path, "t,g\n"), value_column="kg"))


def test_steps_fit_the_intervals_of_the_account(tmp_path: Path) -> None:
    """India is 5:30 ahead: hours of UTC begin in the middle of its own."""
    file = written(tmp_path, "t,g\n2025-01-01 00:00,700\n")
    assert edge_mistake(series(file), "60min", "Europe/Berlin") == ""
    assert "begins at 2025-01-01 05:30 on the site's clock" in edge_mistake(series(file), "60min", "Asia/Kolkata")
    assert edge_mistake(series(file), "30min", "Asia/Kolkata") == ""
    assert "write accounting: {interval: 15min}" in edge_mistake(series(file, step="15min"), "60min", "UTC")
