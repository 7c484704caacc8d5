"""Gaps of a ledger are found, told and filled once, by every line's own factors; late readings take the place of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from carbon.accountant import add_to_booked
from carbon.books import Books
from carbon.entries import MICRO, Activity, Entries
from carbon.filling.fill import like_starts
from carbon.filling.gaps import Course, Grid, Standing, courses, finding, gaps, standing
from carbon.ledger import Ledger, Reason, verify
from config.load import load
from pipeline import quality as q
from tanflow.cli import app
from tests.carbon.plant import CONFIG, START_NS

HOUR_NS = 3600 * 10**9
WEEKS, HOURS = 40, 40 * 168
MAIN, PRESS, OVEN, ROOF = "main.electricity", "press.electricity", "oven.natural_gas", "roof.solar"
FLAT = {MAIN: 120, PRESS: 30, OVEN: 10, ROOF: 5}


class Account:
    """A ledger of forty weeks of a plant that always takes the same."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.path = folder / "gateway.yaml"
        self.path.write_text(config, "utf-8")
        loaded = load(self.path)
        self.books = Books.of(loaded.gateway, loaded.templates, folder)
        self.folder = loaded.gateway.data.dir
        self.grid = Grid(START_NS, HOUR_NS, HOURS)

    def book(self, hours: object, covered: float = 1.0, only: tuple[str, ...] = tuple(FLAT), times: int = 1) -> None:
        rows = np.asarray(hours, np.int64)
        with Ledger.open(self.folder, write=True) as ledger, ledger.writing() as w:
            for key in only:
                activity = self.activity(key, rows, covered)
                activity.amount[:] *= times
                w.entries(self.books.entries(w, activity), Reason("live"))

    def activity(self, key: str, rows: np.ndarray, covered: float) -> Activity:
        stream = np.full(len(rows), self.books.names.index(key))
        amount = round(FLAT[key] * covered * MICRO)
        return Activity.make(
            START_NS + rows * HOUR_NS, HOUR_NS, stream, amount, covered_ns=round(covered * HOUR_NS), quality=q.GOOD
        )

    def course(self, key: str) -> Course:
        with Ledger.open(self.folder) as ledger:
            return courses(ledger, self.grid, self.books.streams)[key]

    def entries(self, key: str) -> dict[str, Entries]:
        with Ledger.open(self.folder) as ledger:
            lines = {n: line.key for n, line in ledger.lines.items() if line.stream == key}
            rows = Entries.join(list(ledger.read(lines=set(lines))))
        return {name: rows.take(rows.line == number) for number, name in lines.items()}

    def run(self, *words: str) -> str:
        options = ("-c", str(self.path), "--from", "2025-01-01", "--to", "2025-10-01")
        done = CliRunner().invoke(app, ["gaps", *words, *options])
        assert done.exit_code == 0, done.output
        return done.output

    def fill(self, *words: str) -> str:
        return self.run("fill", *words, "--by", "Li", "--approved-by", "Wang", "--reason", "cable cut")


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def but(*hours: int) -> np.ndarray:
    return np.setdiff1d(np.arange(HOURS), hours)


# ── finding them ──────────────────────────────────────────────────────────────────────────────────


def test_hours_without_entry_and_partly_covered_ones_are_one_gap(account: Account) -> None:
    account.book(but(100, 101, 102, 103), only=(PRESS,))
    account.book([103], covered=0.25, only=(PRESS,))
    account.book(np.arange(HOURS), only=(MAIN,))
    (gap,) = gaps(account.course(PRESS))
    assert (gap.start_ns - START_NS, gap.end_ns - START_NS) == (100 * HOUR_NS, 104 * HOUR_NS)
    assert gap.missing_ns == 3.75 * HOUR_NS
    assert list(gaps(account.course(MAIN))) == []


def test_a_stream_is_expected_from_its_first_entry_to_the_end_of_all(account: Account) -> None:
    account.book(np.arange(50, 60), only=(PRESS,))
    account.book(np.arange(100), only=(MAIN,))
    (gap,) = gaps(account.course(PRESS))
    assert (gap.first, gap.count) == (60, 40)
    with Ledger.open(account.folder) as ledger:  # no longer configured: it has ended
        assert list(gaps(courses(ledger, account.grid, [MAIN])[PRESS])) == []


def test_the_hour_a_stream_began_in_is_no_gap(account: Account) -> None:
    account.book([50], covered=0.5, only=(MAIN,))
    account.book(np.arange(51, 60), only=(MAIN,))
    assert list(gaps(account.course(MAIN))) == []


def test_a_counter_that_spans_the_hole_leaves_no_gap(account: Account) -> None:
    with Ledger.open(account.folder, write=True) as ledger, ledger.writing() as w:
        rows = account.activity(MAIN, np.arange(10), 1.0)
        rows.quality[3:8] = q.UNCERTAIN | q.PROFILE_ESTIMATED
        w.entries(account.books.entries(w, rows), Reason("live"))
    assert list(gaps(account.course(MAIN))) == []


def test_an_invoice_of_a_month_tells_what_the_hours_do_not(account: Account) -> None:
    account.book(but(*range(200, 400)), only=(OVEN,))
    account.book(np.arange(HOURS), only=(MAIN,))
    with Ledger.open(account.folder, write=True) as ledger, ledger.writing() as w:
        told = Activity.make(START_NS + 150 * HOUR_NS, 300 * HOUR_NS, [account.books.names.index(OVEN)], 9 * MICRO)
        w.entries(account.books.entries(w, told), Reason("manual"))
    assert list(gaps(account.course(OVEN))) == []


def test_more_than_five_percent_is_a_finding(account: Account) -> None:
    account.book(but(*range(600)), only=(PRESS,))
    account.book(but(*range(1000, 1400)), only=(MAIN,))
    known = standing(account.course(MAIN))
    assert known.missing == pytest.approx(400 / HOURS)
    assert finding(known, "2025") == (
        "main.electricity: in 2025 6.0 % of the time is missing and not filled; more than 5 % of a stream is a finding"
    )
    assert finding(Standing(MAIN, 0.05, 0.05, 0.05, 0.9), "2025") == ""
    assert standing(account.course(MAIN), slice(1000, 1100)).missing == 1.0


def test_like_windows_keep_to_the_sites_clock() -> None:
    from zoneinfo import ZoneInfo

    # 1 April 2025 08:00 in Berlin is 06:00 UTC; a week before, in winter time, 08:00 was 07:00 UTC.
    grid = Grid(1_735_689_600 * 10**9, HOUR_NS, 8760)  # from 2025-01-01 00:00 UTC
    first = (31 + 28 + 31) * 24 + 6
    rows = like_starts(grid, grid.start_ns + first * HOUR_NS, ZoneInfo("Europe/Berlin")).tolist()
    assert {first - 168 + 1, first, first + 168} <= set(rows)


# ── filling them ──────────────────────────────────────────────────────────────────────────────────


def test_a_gap_is_filled_once_on_every_line(account: Account) -> None:
    account.book(but(3000, 3001), only=(MAIN,))
    account.book([3001], covered=0.5, only=(MAIN,))
    assert "1 gaps would be filled" in account.fill("--all", "--dry-run")
    assert len(list(gaps(account.course(MAIN)))) == 1
    assert "1 gaps are filled" in account.fill("--stream", MAIN)
    for name, rows in account.entries(MAIN).items():
        at = np.flatnonzero(rows.substituted)
        assert rows.start_ns[at].tolist() == [START_NS + 3000 * HOUR_NS, START_NS + 3001 * HOUR_NS]
        assert rows.amount[at].tolist() == [120 * MICRO, 120 * MICRO]  # weeks that are all alike: exactly the truth
        assert rows.substituted[at].tolist() == [120 * MICRO, 60 * MICRO]
        assert rows.covered_ns[at].tolist() == [0, HOUR_NS // 2]
        if name.endswith("location"):  # Guangdong 0.4403 kg/kWh · 120 kWh = 52.836 kg, td losses apart
            factor = rows.co2e[at[0] - 1]
            assert rows.co2e[at].tolist() == [factor, factor]
    assert list(gaps(account.course(MAIN))) == []
    assert "no gap is open" in account.fill("--all")
    assert not verify(account.folder).problems
    with Ledger.open(account.folder) as ledger:
        reason = [b.reason for b in ledger.blocks() if b.reason][-1]
    assert reason is not None
    assert (reason.kind, reason.method, reason.by, reason.approved_by) == ("substitution", "like_windows", "Li", "Wang")
    assert reason.text.startswith("cable cut [upper 95 % bound of 39 windows like it (not counter: ")


def test_two_readings_of_the_counter_go_before_everything(account: Account) -> None:
    account.book(but(3000, 3001), only=(MAIN,))
    assert "1: difference of two readings of the counter" in account.fill("--stream", MAIN, "--counted", "310")
    assert account.course(MAIN).amount[2999:3003].tolist() == [120 * MICRO, 155 * MICRO, 155 * MICRO, 120 * MICRO]


def test_what_was_filled_is_no_evidence_for_another_gap(account: Account) -> None:
    account.book(but(3000, 3000 + 168), only=(MAIN,))
    account.fill("--stream", MAIN)
    with Ledger.open(account.folder) as ledger:
        reasons = [b.reason.text for b in ledger.blocks() if b.reason and b.reason.kind == "substitution"]
    assert len(reasons) == 2
    assert all("38 windows" in text for text in reasons)


def test_readings_that_come_later_take_the_place_of_the_filling(account: Account) -> None:
    account.book(but(3000), only=(MAIN,))
    account.fill("--stream", MAIN)
    late = account.activity(MAIN, np.array([3000]), 1.0)
    late.amount[:] = 80 * MICRO
    with Ledger.open(account.folder, write=True) as ledger:
        added = add_to_booked(ledger, account.books, late)
        with ledger.writing() as w:
            w.entries(account.books.entries(w, added), Reason("late"))
    course = account.course(MAIN)
    assert (course.amount[3000], course.substituted[3000]) == (80 * MICRO, 0)
    assert list(gaps(course)) == []


def test_a_young_stream_is_filled_by_what_the_plant_says(account: Account) -> None:
    """Twenty hours of history: power made on the site forbids the balance, and nothing else is known."""
    account.book(but(*range(12, HOURS)), only=(MAIN, PRESS, ROOF))
    account.book(np.arange(14, 20))
    said = account.run("list", "--stream", PRESS)
    assert "nothing" in said
    assert "power is made on the site or exported" in said
    assert "0 gaps are filled, 1 cannot be" in account.fill("--stream", PRESS)
    assert "1 gaps are filled" in account.fill("--stream", ROOF)  # nothing is claimed of the sun
    course = account.course(ROOF)
    assert (course.amount[12], course.substituted[12], bool(course.filled[12])) == (0, 0, True)


def test_without_own_power_the_balance_counts_where_it_has_closed(tmp_path: Path) -> None:
    config = CONFIG[: CONFIG.index("      roof:")]
    account = Account(tmp_path, config)
    account.book(but(12, 13), only=(PRESS,))
    account.book(np.arange(20), only=(MAIN,))
    said = account.run("list", "--stream", PRESS)
    assert "the meter above has shown 4.000 of the meter" in said  # 120 to 30 kWh: others take what nobody meters
    account.book(but(12, 13), only=(PRESS,), times=4)
    assert "1: the meter above × 1.0000" in account.run("list", "--stream", PRESS)
    account.book([12], covered=0.0, only=(MAIN,))
    assert "the meter above has a gap there too" in account.run("list", "--stream", PRESS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stream", "pres.electricity"), "did you mean 'press.electricity'"),
        (("--stream", MAIN, "--check", "nothing.at-all"), "no metered stream 'nothing.at-all'"),
    ],
)
def test_a_stream_that_is_not_there_is_named(account: Account, words: tuple[str, ...], message: str) -> None:
    account.book(np.arange(10), only=(MAIN, PRESS))
    done = CliRunner().invoke(app, ["gaps", "list", "-c", str(account.path), "--from", "2025-01-01", *words])
    assert message in str(done.exception)


def test_nobody_approves_of_their_own_filling(account: Account) -> None:
    account.book(np.arange(10), only=(MAIN,))
    words = ["gaps", "fill", "--all", "-c", str(account.path), "--by", "Li", "--approved-by", "li", "--reason", "cut"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "nobody approves of what they fill themselves" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "0001-01-01"), "is not between the years 1990 and 2100"),
        (("--stream", MAIN, "--counted", "nan"), "nothing a counter can have gone on by"),
        (("--stream", MAIN, "--counted", "1e300"), "nothing a counter can have gone on by"),
    ],
)
def test_what_cannot_be_is_told(account: Account, words: tuple[str, ...], message: str) -> None:
    account.book(np.arange(10), only=(MAIN,))
    done = CliRunner().invoke(app, ["gaps", "list", "-c", str(account.path), *words])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", "").split())
