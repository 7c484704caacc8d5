"""Tariff files: what is shipped, and every mistake told with its line."""

from datetime import date
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.tariff import Tariff, minutes
from config.tariffs import load_tariff, schedules

HEAD = "name: plant\ncurrency: CNY\nsource: contract 4711\nversions:\n"
LIKE = "  - {valid_from: 2025-01-01, like: guangdong_2021, base_price: 0.65}\n"
OWN = """\
  - valid_from: 2025-01-01
    prices: {day: 0.9, night: 0.4}
    kinds:
      all:
        hours:
          day: [8-20]
          night: [0-8, 20-24]
"""


def load(folder: Path, text: str, interval: int = 60) -> Tariff:
    (folder / "tariff.yaml").write_text(text, encoding="utf-8")
    return load_tariff(folder / "tariff.yaml", interval)


def problems(folder: Path, text: str, interval: int = 60) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(folder, text, interval)
    return [str(p).replace(f"{folder}/", "") for p in error.value.problems]


def test_guangdong_as_the_notice_says() -> None:
    # Guangdong DRC, August 2021: 1.7 : 1 : 0.38; critical peak 1.25 × peak, July to September 11–12 and 15–17.
    guangdong = schedules()["guangdong_2021"]
    assert guangdong.ratios == {"critical": 1.7 * 1.25, "peak": 1.7, "flat": 1, "valley": 0.38}
    assert guangdong.kinds["hot"].months == (7, 8, 9)
    assert guangdong.kinds["hot"].hours["critical"] == ("11-12", "15-17")
    assert guangdong.kinds["other"].hours["peak"] == ("10-12", "14-19")
    assert guangdong.kinds["other"].hours["valley"] == ("0-8",)
    assert all(s.source and s.confidence and s.published_on for s in schedules().values())


def test_a_shipped_schedule_gets_its_price_and_its_hot_days_from_the_user(tmp_path: Path) -> None:
    tariff = load(tmp_path, HEAD + LIKE.replace("0.65}", "0.65, extra_days: {hot: [2025-06-21]}}"))
    (version,) = tariff.versions
    assert version.prices == {"critical": 1.38125, "peak": 1.105, "flat": 0.65, "valley": 0.247}
    assert version.kinds["hot"].days == (date(2025, 6, 21),)
    assert schedules()["guangdong_2021"].kinds["hot"].days == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10-12", (600, 720)), ("0-8", (0, 480)), ("19:30-24:00", (1170, 1440)), ("9:05 - 9:20", (545, 560))],
)
def test_hours(text: str, expected: tuple[int, int]) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["22-6", "8-8", "8-25", "8", "8:60-9", "24:01-24:02"])
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (HEAD + OWN.replace("8-20", "8-19"), 9, "19:00 to 20:00 belong to no period; the hours fill a day once"),
        (HEAD + OWN.replace("8-20", "7-20"), 9, "07:00 to 08:00 belong to two periods"),
        (HEAD + OWN.replace("8-20", "8-22-6"), 10, "hours are written from-to"),
        (HEAD + OWN.replace("day: [", "noon: ["), 10, "'noon' has no price; there is day, night"),
        (HEAD + OWN.replace("        hours:", "        months: [1]\n        hours:"), 7, "no kind holds on a mon of"),
        (HEAD + OWN.replace("8", "8:30"), 9, "08:30 lies within an accounting interval of 60 min"),
        (HEAD + LIKE.replace("_2021", "_2022"), 5, "'guangdong_2022' is not shipped; there is guangdong_2021"),
        (HEAD.replace("CNY", "EUR") + LIKE, 5, "'guangdong_2021' is in CNY, not EUR"),
        (HEAD + LIKE.replace("0.65", "0.65, extra_days: {warm: [2025-06-21]}"), 5, "there is no kind of day 'warm'"),
        (HEAD + LIKE + LIKE, 6, "the version before has no valid_to"),
        (
            HEAD + LIKE.replace(", like", ", valid_to: 2025-06-29, like") + LIKE.replace("2025-01", "2025-07"),
            6,
            "nothing holds from 2025-06-30 to 2025-06-30; versions follow each other without a gap",
        ),
        (
            HEAD + LIKE.replace(", like", ", valid_to: 2025-07-01, like") + LIKE.replace("2025-01", "2025-07"),
            6,
            "begins before the version before is over (2025-07-01)",
        ),
        (
            HEAD + LIKE.replace(", like", ", valid_to: 2025-07-14, like")
            + LIKE.replace("2025-01-01", "2025-07-15, demand: {price: 32}"),
            6,
            "can change only on the first of one",
        ),
        (HEAD + LIKE.replace("base_price: 0.65", "prices: {peak: 1}"), 5, "'critical' has no price"),
        (HEAD + LIKE.replace(", base_price: 0.65", ""), 5, "say what a kWh costs"),
        (HEAD + LIKE.replace("like: guangdong_2021, ", ""), 5, "say the hours"),
        (HEAD + LIKE.replace("0.65", "0.65, demand: {price: 32, contract_kw: 900}"), 5, "excess_factor: together"),
        (
            HEAD + LIKE.replace("0.65", "0.65, power_factor: {source: s, table: [{at_least: 0.9, share: 0}]}"),
            5,
            "ends with at_least: 0",
        ),
        (HEAD + LIKE.replace("base_price", "price"), 5, "unknown key"),
        ("name: plant\nname: plan\n", 2, "given twice"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    found = problems(tmp_path, text)
    assert any(p.startswith(f"tariff.yaml:{line}: ") and said in p for p in found), found


def test_half_hours_need_an_account_by_the_half_hour(tmp_path: Path) -> None:
    text = HEAD + OWN.replace("8", "8:30")
    load(tmp_path, text, 30)
    assert len(problems(tmp_path, text, 60)) == 1


def test_a_name_without_a_price_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="write a file with 'like: guangdong_2021'"):
        load_tariff("guangdong_2021", 60)
    with pytest.raises(ConfigError, match="'shenzhen' is no file and no shipped schedule"):
        load_tariff("shenzhen", 60)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_tariff(tmp_path / "missing.yaml", 60)
