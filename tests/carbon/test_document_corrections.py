"""A document once, corrected as a new version, approved by a second person, and what it makes of a restated month."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon.entries import MICRO, Entries
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.papers.documents import Person
from carbon.papers.register import same_person
from carbon.restate import Span, restate_factors
from config.errors import ConfigError, Rejected
from tests.carbon.ledger_parts import factor
from tests.carbon.papers import DIESEL, HEAD, documents, enter, local_ns, year_of


def test_entered_twice_is_refused_with_where_it_stands(tmp_path: Path) -> None:
    office = documents(tmp_path)
    row = "delivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,"
    enter(office, f"{HEAD}\n{row}")
    with pytest.raises(ConfigError) as refused:  # the same row in a longer sheet is the same row
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-04-01,2025-04-30,3,t,B,\n{row}", name="longer.csv")
    assert [str(p) for p in refused.value.problems] == [
        "longer.csv:3: row: was entered already as document 1 (sheet.csv:2, in force); if it is really another one, "
        "give its document_number"
    ]
    assert year_of(office, 2025, DIESEL)[0] == 3_100_000  # April neither
    with pytest.raises(ConfigError, match="was entered already as document 1 "):  # in another unit it is no other
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3100,kg,A,")
    with pytest.raises(ConfigError, match=r"sheet\.csv:3: row: says the same as sheet\.csv:2; if"):
        enter(office, f"{HEAD}\n{row.replace('A', 'C')}\n{row.replace('A', 'C')}")


def test_a_correction_is_a_new_version_and_the_old_one_stays(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-04-30,6.1,t,A,\n"
                  "delivery,furnace-1,diesel,2025-03-01,2025-03-31,1,t,F,")  # fmt: skip
    with Ledger.open(office.data) as ledger:
        before = ledger.head().seq
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,1")
    assert year_of(office, 2025, DIESEL)[0] == 3_100_000
    assert year_of(office, 2025, DIESEL, upto=before)[0] == 6_100_000
    assert office.register().state(1) == "replaced"
    other = "furnace-1.diesel/1/stationary_combustion/factor"
    assert year_of(office, 2025, other)[0] == 1_000_000
    with Ledger.open(office.data) as ledger:
        (line,) = (n for n, known in ledger.lines.items() if known.key == other)
        assert len(ledger.versions(line, local_ns(office, 2025, 3, 1))) == 1  # nothing else moved
        (line,) = (n for n, known in ledger.lines.items() if known.key == DIESEL)
        april = ledger.versions(line, local_ns(office, 2025, 4, 1))
        assert [v.entry.amount.tolist() for v in april] == [[3_000_000], [0]]
        assert (april[-1].reason.kind, april[-1].reason.by, april[-1].reason.approved_by) == ("manual", "Ann", "Bo")
    with pytest.raises(ConfigError, match="document 1 is replaced by document"):
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.2,t,A,1")
    with pytest.raises(ConfigError, match="there is no document 99"):
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.2,t,Z,99")


def test_a_correction_may_move_to_another_asset(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,")
    enter(office, f"{HEAD}\ndelivery,furnace-1,diesel,2025-03-01,2025-03-31,3.1,t,A,1")
    assert year_of(office, 2025, DIESEL)[0] == 0
    assert year_of(office, 2025, "furnace-1.diesel/1/stationary_combustion/factor")[0] == 3_100_000


def test_without_approval_a_row_waits(tmp_path: Path) -> None:
    office = documents(tmp_path)
    entered = enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,", Person("Ann"))
    assert (entered.pending, entered.entries) == (True, 0)
    assert year_of(office, 2025, DIESEL) == (0, 0)
    for name in ("Ann", " ann".strip().upper(), "Ａｎｎ"):
        with pytest.raises(Rejected, match="second person"):
            office.approve([1], name)
    assert office.approve([1], "Bo").entries == 1
    assert year_of(office, 2025, DIESEL)[0] == 3_100_000
    with pytest.raises(Rejected, match="document 1 is in force"):
        office.approve([1], "Bo")
    with pytest.raises(Rejected, match="document 7 does not exist"):
        office.approve([7], "Bo")
    assert office.register().approver(1) == "Bo"


def test_what_is_corrected_stands_until_the_correction_is_approved(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,")
    (waiting,) = enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,1.3,t,A,1", Person("Ann")).filed
    assert year_of(office, 2025, DIESEL)[0] == 3_100_000
    office.approve([waiting.seq], "Bo")
    assert year_of(office, 2025, DIESEL)[0] == 1_300_000


@pytest.mark.parametrize("names", [("", "Bo"), ("Ann", "ann"), ("Ann", "A nn"), ("Ann\n", "Bo"), ("A" * 101, "Bo")])
def test_it_takes_two_people(names: tuple[str, str]) -> None:
    with pytest.raises(Rejected):
        Person(*names)
    assert not same_person("Ann", "Anna")


def test_more_papers_of_a_restated_month_count_by_its_factor(tmp_path: Path) -> None:
    """31 MWh of January restated to 0.4 kg/kWh, 21 MWh more from the 16th to 5 February: 16 and 5 days of 1 MWh."""
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,line-1,electricity,2025-01-01,2025-01-31,31,MWh,A,")
    key = "line-1.electricity/2/purchased_electricity/location"
    january = Span(local_ns(office, 2025, 1, 1), local_ns(office, 2025, 2, 1), office.account.zone)
    with Ledger.open(office.data, write=True) as ledger:
        given = {n: FactorSteps.constant(factor(0.4, 2024)) for n, line in ledger.lines.items() if line.key == key}
        restate_factors(ledger, given, january, Reason("restatement", "as audited", "me"))
    enter(office, f"{HEAD}\ndelivery,line-1,electricity,2025-01-16,2025-02-05,21,MWh,B,")
    with Ledger.open(office.data) as ledger:
        booked = Entries.join(list(ledger.read(lines=given)))
    assert booked.amount.tolist() == [15_000 * MICRO, 32_000 * MICRO, 5_000 * MICRO]
    # Guangdong, the newest published by the first of January 2025: 0.4403 kg/kWh.
    assert booked.co2e.tolist() == [6_000 * MICRO, 12_800 * MICRO, 2_201_500_000]
    assert verify(office.data, None).ok


def test_a_late_report_of_the_laboratory_restates_only_its_days(tmp_path: Path) -> None:
    # 31 days · 0.1 t; the laboratory speaks for 1 to 10 March: 1 t · 3.1139108 + 2.1 t · 3.145122493 t/t
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,\n"
                  "delivery,genset,diesel,2025-02-01,2025-02-28,2.8,t,B,")  # fmt: skip
    head = "kind,asset,carrier,from,to,ncv,unit,document_number"
    entered = enter(office, f"{head}\nlab,site,diesel,2025-03-01,2025-03-10,42.9,GJ/t,L-7")
    assert entered.entries == 2  # the first ten days and the rest of March; February stays
    amount, co2e = year_of(office, 2025, DIESEL)
    assert amount == 5_900_000
    assert co2e == pytest.approx(3_113_910_800 + 2.1 * 3_145_122_493 + 2.8 * 3_145_122_493, abs=3)
