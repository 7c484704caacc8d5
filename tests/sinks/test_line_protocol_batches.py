"""Batches → lines: what shares one, what is written of quality and numbers, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import GatewayError
from pipeline.batch import Batch, Header, make
from pipeline.series import SeriesTable
from pipeline.spec import Like, Spec
from sinks import line_protocol
from sinks.line_protocol import Encoder, Lines
from tests.sinks.line_reader import Value, read

HEADER = Header("floor", 1, "boot", 0, 0)
NAN = float("nan")


def spec(asset: str, field: str, measurement: str = "energy") -> Spec:
    like = Like("floor", "power", "kW", 0, measurement, field)
    return Spec(f"{asset}.{field}.power", (("asset", asset), ("site", "p")), like)


def table_of(*specs: Spec) -> SeriesTable:
    return SeriesTable(1, specs, {s.key: i for i, s in enumerate(specs)}, {})


PLANT = table_of(
    spec("m1", "power_kw"), spec("m1", "energy_kwh"), spec("m2", "power_kw"), spec("m1", "flow_m3_h", "process")
)


def batch_of(*rows: tuple[int, int, float] | tuple[int, int, float, int]) -> Batch:
    """Return a batch of (series, time, value[, quality]) rows."""
    full = [(*row, 0)[:4] for row in rows]
    series, time_ns, value, quality = (list(column) for column in zip(*full, strict=True))
    return make(HEADER, time_ns, series, value, quality)


def text_of(lines: Lines) -> list[str]:
    return lines.payload.decode().splitlines()


def test_fields_of_one_instant_share_a_line() -> None:
    lines = Encoder(PLANT).encode(batch_of((0, 5, 1.5), (2, 5, 2.0), (1, 5, 0.1), (3, 5, 7.0), (0, 6, 3.0)))
    assert text_of(lines) == [
        "energy,asset=m1,site=p power_kw=1.5,energy_kwh=0.1 5",
        "energy,asset=m2,site=p power_kw=2.0 5",
        "process,asset=m1,site=p flow_m3_h=7.0 5",
        "energy,asset=m1,site=p power_kw=3.0 6",
    ]
    assert lines.rows.tolist() == [0, 2, 1, 3, 4]
    assert lines.ends.tolist() == [2, 3, 4, 5]


def test_a_float32_register_is_written_as_the_number_it_shows() -> None:
    register, computed = spec("m1", "power_kw"), spec("m1", "energy_kwh")
    register = replace(register, like=replace(register.like, relative=2.0**-23))
    encoder = Encoder(table_of(register, computed))
    shown = float(np.float32(449.1))  # 449.1000061035156
    lines = encoder.encode(batch_of((0, 5, shown), (1, 5, shown), (0, 6, 0.1), (0, 7, 2.0**28), (0, 8, 1e300)))
    assert text_of(lines) == [
        f"energy,asset=m1,site=p power_kw=449.1,energy_kwh={shown} 5",
        "energy,asset=m1,site=p power_kw=0.1 6",
        "energy,asset=m1,site=p power_kw=268435456.0 7",  # a count: not 268435460, its shortest form as a float32
        "energy,asset=m1,site=p power_kw=1e+300 8",
    ]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(allow_nan=False), max_size=20))
def test_what_a_float32_register_showed_reads_back_as_it(values: list[float]) -> None:
    register = spec("m1", "power_kw")
    encoder = Encoder(table_of(replace(register, like=replace(register.like, relative=2.0**-23))))
    lines = encoder.encode(make(HEADER, np.arange(len(values)), np.zeros(len(values)), values))
    got = {read(line)[3]: read(line)[2]["power_kw"] for line in lines.payload.splitlines()}
    for at, value in enumerate(values):
        if math.isfinite(value):
            single = abs(value) < 2**24 and float(np.float32(value)) == value
            assert got[at] == value or (single and np.float32(got[at]) == np.float32(value))


def test_the_last_row_of_a_series_and_instant_wins() -> None:
    lines = Encoder(PLANT).encode(batch_of((0, 5, 1.0, 2), (1, 5, 9.0), (0, 5, 2.0)))
    assert text_of(lines) == ["energy,asset=m1,site=p power_kw=2.0,energy_kwh=9.0 5"]
    assert lines.rows.tolist() == [2, 1]


def test_quality_stands_beside_the_value_only_where_it_is_not_good() -> None:
    lines = Encoder(PLANT).encode(batch_of((0, 5, 1.0, 17), (1, 5, 2.0), (0, 6, 1.0)))
    assert text_of(lines) == [
        "energy,asset=m1,site=p power_kw=1.0,power_kw_q=17i,energy_kwh=2.0 5",
        "energy,asset=m1,site=p power_kw=1.0 6",
    ]


def test_what_is_not_a_number_leaves_its_quality_and_is_counted() -> None:
    encoder = Encoder(PLANT)
    lines = encoder.encode(
        batch_of((0, 5, NAN, 18), (1, 5, 2.0), (0, 6, math.inf), (0, 7, NAN, 6), (0, 8, 4.0), (1, 8, NAN, 6))
    )
    assert text_of(lines) == [
        "energy,asset=m1,site=p power_kw_q=18i,energy_kwh=2.0 5",
        "energy,asset=m1,site=p power_kw_q=6i 7",
        "energy,asset=m1,site=p power_kw=4.0,energy_kwh_q=6i 8",
    ]
    assert lines.unstorable == 4
    assert lines.rows.tolist() == [0, 1, 3, 4, 5]


def test_series_of_another_configuration_are_named_not_written() -> None:
    lines = Encoder(PLANT).encode(batch_of((0, 5, 1.0), (99, 5, 1.0), (-1, 5, 1.0)))
    assert text_of(lines) == ["energy,asset=m1,site=p power_kw=1.0 5"]
    assert lines.unknown.tolist() == [1, 2]


def test_nothing_gives_nothing() -> None:
    lines = Encoder(PLANT).encode(make(HEADER, [], [], [], []))
    assert (lines.payload, len(lines), len(lines.unknown)) == (b"", 0, 0)
    assert len(Encoder(table_of()).encode(batch_of((0, 5, 1.0))).unknown) == 1


def test_two_series_on_one_field_are_refused() -> None:
    first, second = spec("m1", "power_kw"), spec("m1", "power_kw")
    other = replace(second, key="m1.other.power")
    with pytest.raises(GatewayError, match=r"m1\.power_kw\.power and m1\.other\.power would overwrite"):
        Encoder(table_of(first, other))
    with pytest.raises(GatewayError, match="power_kw_q"):
        Encoder(table_of(first, spec("m1", "power_kw_q")))


def test_names_of_any_script_and_a_percent_sign() -> None:
    encoder = Encoder(table_of(spec("50% 碳,炉", "load %=x")))
    lines = encoder.encode(batch_of((0, 5, 1.0), (0, 6, 2.0, 3)))
    assert read(lines.payload.splitlines()[0]) == (
        "energy", [("asset", "50% 碳,炉"), ("site", "p")], {"load %=x": 1.0}, 5,
    )  # fmt: skip
    assert read(lines.payload.splitlines()[1])[2] == {"load %=x": 2.0, "load %=x_q": 3}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([0, 1, 2**61, -(2**61)]) | st.integers(-(2**62), 2**62),
            st.floats(),
            st.sampled_from([0, 0, 6, 0xFFFF]),
        ),
        max_size=40,
    )
)
def test_a_batch_says_what_its_rows_say(rows: list[tuple[int, int, float, int]]) -> None:
    expected: dict[tuple[str, str, int], dict[str, Value]] = {}
    for series, time_ns, value, quality in rows:
        if not math.isfinite(value) and not quality:
            continue
        s = PLANT.spec(series)
        fields = expected.setdefault((s.like.measurement, s.tags[0][1], time_ns), {})
        fields.pop(s.like.field, None)
        fields.pop(s.like.field + "_q", None)
        if math.isfinite(value):
            fields[s.like.field] = value
        if quality:
            fields[s.like.field + "_q"] = quality
    lines = Encoder(PLANT).encode(batch_of(*rows) if rows else make(HEADER, [], [], [], []))
    got = {}
    for line in lines.payload.splitlines():
        measurement, tags, fields, time_ns = read(line)
        assert (measurement, tags[0][1], time_ns) not in got, "one line per tag set and instant"
        got[measurement, tags[0][1], time_ns] = fields
    assert got == expected
    assert len(lines) == len(expected)


def test_however_few_lines_are_made_at_a_time_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(n % 4, 7 + n // 4, math.nan if n % 5 == 0 else float(n), n % 3) for n in range(90)]
    whole = Encoder(PLANT).encode(batch_of(*rows))
    assert len(whole) > 50
    monkeypatch.setattr(line_protocol, "_LINES", 4)
    found = Encoder(PLANT).encode(batch_of(*rows))
    assert found.payload == whole.payload
    assert found.rows.tolist() == whole.rows.tolist()


def test_rows_are_attributed_to_their_lines() -> None:
    rng = np.random.default_rng(3)
    batch = make(HEADER, rng.integers(0, 20, 300), rng.integers(0, 4, 300), rng.normal(size=300))
    lines = Encoder(PLANT).encode(batch)
    starts = [0, *lines.ends[:-1].tolist()]
    for text, start, end in zip(lines.payload.splitlines(), starts, lines.ends.tolist(), strict=True):
        measurement, tags, fields, time_ns = read(text)
        rows = lines.rows[start:end]
        specs = [PLANT.spec(int(s)) for s in batch.series[rows]]
        assert {(s.like.measurement, s.tags[0]) for s in specs} == {(measurement, tags[0])}
        assert {int(t) for t in batch.time_ns[rows]} == {time_ns}
        assert {s.like.field: float(v) for s, v in zip(specs, batch.value[rows], strict=True)} == fields


def test_more_combinations_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.line_protocol._LAYOUT_BYTES", 1_000)
    encoder = Encoder(PLANT)
    for quality in range(50):
        lines = encoder.encode(batch_of((0, 5, 1.0, quality)))
        assert read(lines.payload.splitlines()[0])[2].get("power_kw_q", 0) == quality
