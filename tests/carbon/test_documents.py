"""What people enter stands in the ledger exactly, once, and with who stands for it; what is wrong is told at once."""

from __future__ import annotations

import calendar
import stat
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.entries import MICRO, Entries
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason, verify
from carbon.local_time import midnight_ns
from carbon.papers import evidence
from carbon.papers.documents import Person
from carbon.papers.periods import bounds, month_starts, split
from carbon.papers.register import same_person
from carbon.papers.sheets import read_sheet
from carbon.restate import Span, restate_factors
from config.errors import ConfigError, Rejected
from pipeline.quality import MANUAL
from tests.carbon.ledger_parts import factor
from tests.carbon.papers import BOTH, CONFIG, documents, enter, local_ns, xlsx, year_of

DIESEL = "genset.diesel/1/stationary_combustion/factor"
GAS = "furnace-1.natural_gas/1/stationary_combustion/factor"
R410A = "chiller-1.R410A/1/fugitive/factor"
HEAD = "kind,asset,carrier,from,to,quantity,unit,document_number,replaces"


def the_year() -> list[list[object]]:
    """Papers of 2025: diesel and gas by the month, one report of a laboratory, one stock of refrigerant."""
    head = [
        "kind",
        "asset",
        "carrier",
        "from",
        "to",
        "quantity",
        "unit",
        "celsius",
        "opening",
        "bought",
        "closing",
        "ncv",
    ]
    rows: list[list[object]] = [head]
    for month in range(1, 13):
        first, last = date(2025, month, 1), date(2025, month, calendar.monthrange(2025, month)[1])
        rows.append(["delivery", "genset", "diesel", first, last, 2.5, "t", *[None] * 5])
        rows.append(["delivery", "furnace-1", "natural_gas", first, last, 31000, "m3", 20, *[None] * 4])
    rows.append(["lab", "genset", "diesel", date(2025, 3, 1), date(2025, 3, 31), None, "GJ/t", *[None] * 4, 42.9])
    stock = [date(2025, 1, 1), date(2025, 12, 31), None, "kg", None, 40, 10, 45.5, None]
    rows.append(["stock", "chiller-1", "R-410A", *stock])
    return rows


def as_csv(rows: list[list[object]]) -> bytes:
    return "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows).encode()


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_year_of_scope_1_without_any_meter(form: str, tmp_path: Path) -> None:
    # By hand. Factors: NDRC guidelines of 24 industries, default tables (set ndrc-24), CO₂ = NCV · C · oxid. · 44/12;
    # potentials: IPCC AR5; R-410A = ½ HFC-32 (677) + ½ HFC-125 (3170) = 1923.5.
    #
    # diesel   43.33 GJ/t · 0.0202 tC/GJ · 0.98 · 44/12 = 3.145122493 t/t; 11 months · 2.5 t        = 86.490868567 t
    # diesel   March by the laboratory: 42.9 GJ/t → 3.113910800 t/t · 2.5 t                          =  7.784777000 t
    # gas      31,000 m³ at 20 °C = 31,000 · 273.15/293.15 = 28,885.041787 m³ at 0 °C, 101.325 kPa
    #          0.038931 GJ/m³ · 0.0153 tC/GJ · 0.99 · 44/12 = 2.162188809 kg/m³; 12 · 62.454914 t    = 749.458968 t
    # R-410A   40 + 10 − 45.5 = 4.5 kg lost · 1923.5                                                =  8.655750000 t
    office = documents(tmp_path)
    content = as_csv(the_year()) if form == "csv" else xlsx(the_year())
    entered = office.enter(read_sheet(f"year.{form}", content), content, BOTH)
    assert (len(entered.filed), entered.entries) == (26, 36)

    amount, co2e = year_of(office, 2025, DIESEL)
    assert amount == 30_000_000
    assert co2e == 11 * 7_862_806_233 + 7_784_777_000
    amount, co2e = year_of(office, 2025, GAS)
    assert amount == 12 * 28_885_041_787
    assert co2e == pytest.approx(12 * 28_885_041_787 * 2.162188809, abs=12)
    amount, co2e = year_of(office, 2025, R410A)
    assert amount == 4_500_000
    assert co2e == pytest.approx(8_655_750_000, abs=12)  # twelve months, each rounded once
    assert year_of(office, 2024, GAS) == year_of(office, 2026, GAS) == (0, 0)

    with Ledger.open(office.data) as ledger:
        assert all(bool((part.quality & MANUAL).all()) for part in ledger.read())
        laboratory = [f for f in ledger.factors.values() if f.id.endswith("+lab")]
        assert [f.kwh for f in laboratory] == [pytest.approx(42.9 / 0.0036)]
        assert "42.9 GJ/t" in laboratory[0].provenance.publication
        assert all(f.provenance.source for f in ledger.factors.values())
    assert not verify(office.data).problems


def test_the_sheet_is_kept_under_its_hash_and_for_nobody_else(tmp_path: Path) -> None:
    office = documents(tmp_path)
    content = as_csv(the_year())
    entered = office.enter(read_sheet("year.csv", content), content, BOTH)
    kept = office.data / evidence.FOLDER / entered.filed[0].evidence
    assert kept.read_bytes() == content
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


# ── periods ───────────────────────────────────────────────────────────────────────────────────────

ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo"])


@given(
    st.integers(-(10**16), 10**16), st.dates(date(1995, 1, 1), date(2040, 1, 1)), st.integers(0, 365), ZONES,
    st.lists(st.integers(0, 366 * 24), max_size=12),
)  # fmt: skip
def test_parts_sum_to_the_whole_and_none_is_off_by_one(
    amount: int, first: date, more: int, name: str, hours: list[int]
) -> None:
    zone, last = ZoneInfo(name), first + timedelta(days=more)
    start, end = bounds(first, last, zone)
    months = month_starts(first, last, zone)
    edges = [start + hour * 3_600_000_000_000 for hour in hours]
    parts = split(amount, first, last, sorted([*months, *edges]), zone)
    assert sum(part.amount for part in parts) == amount
    assert [p.start_ns for p in parts] == [start, *(p.end_ns for p in parts[:-1])]
    assert parts[-1].end_ns == end
    whole = {p.start_ns: p for p in split(amount, first, last, months, zone)}
    assert set(whole) <= {p.start_ns for p in parts}
    for month in whole.values():  # cutting a month finer moves nothing to or from its neighbours
        assert month.amount == sum(p.amount for p in parts if month.start_ns <= p.start_ns < month.end_ns)
        assert (amount >= 0) == (month.amount >= 0) or month.amount == 0


def test_a_period_over_months_is_shared_by_days(tmp_path: Path) -> None:
    # 16 January to 15 February are 16 + 15 = 31 days: 31,000 kg are 16,000 and 15,000.
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-01-16,2025-02-15,31000,kg,,")
    with Ledger.open(office.data) as ledger:
        (entries,) = ledger.read()
        assert entries.start_ns.tolist() == [local_ns(office, 2025, 1, 16), local_ns(office, 2025, 2, 1)]
        assert entries.amount.tolist() == [16_000_000, 15_000_000]  # 1e-6 t


def test_a_day_of_23_hours_weighs_as_much_as_any_other() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    cuts = [midnight_ns(date(2025, 3, day), berlin) for day in (30, 31)]
    assert [p.amount for p in split(300, date(2025, 3, 29), date(2025, 3, 31), cuts, berlin)] == [100, 100, 100]


def test_deliveries_of_the_same_days_add_up(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,3.1,t,A,")
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-03-01,2025-03-31,6.2,t,B,\n"
                  "delivery,genset,diesel,2025-03-10,2025-03-10,1,t,C,")  # fmt: skip
    assert year_of(office, 2025, DIESEL)[0] == 10_300_000
    with Ledger.open(office.data) as ledger:
        (entries,) = ledger.read()
        assert entries.amount.tolist() == [2_700_000, 1_300_000, 6_300_000]  # 9 · 0.3; 0.3 + 1; 21 · 0.3


# ── corrections and approval ──────────────────────────────────────────────────────────────────────


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


# ── other kinds ───────────────────────────────────────────────────────────────────────────────────


def test_a_meter_read_by_hand_counts_from_one_reading_to_the_next(tmp_path: Path) -> None:
    office = documents(tmp_path)
    head = "kind,asset,carrier,to,quantity,unit,replaces"
    enter(office, f"{head}\nindex,genset,electricity,2024-12-31,1000,kWh,\n"
                  "index,genset,electricity,2025-01-31,1310,kWh,\n"
                  "index,genset,electricity,2025-02-28,1.59,MWh,")  # fmt: skip
    line = "genset.electricity/2/purchased_electricity/location"
    assert year_of(office, 2025, line)[0] == 590_000_000
    with pytest.raises(ConfigError, match="an index counts up"):
        enter(office, f"{head}\nindex,genset,electricity,2025-03-31,1500,kWh,")
    with pytest.raises(ConfigError, match="a reading of the same day; give replaces: 2"):
        enter(office, f"{head}\nindex,genset,electricity,2025-01-31,1300,kWh,")
    enter(office, f"{head}\nindex,genset,electricity,2025-02-28,1600,kWh,3")
    assert year_of(office, 2025, line)[0] == 600_000_000
    with pytest.raises(ConfigError, match="both would count twice"):
        enter(office, f"{HEAD}\ndelivery,genset,electricity,2025-05-01,2025-05-31,100,kWh,,")


def test_production_and_what_belongs_to_the_whole_site(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\nproduction,line-1,,2025-03-01,2025-03-31,1200000,kg,,\n"
                  "delivery,site,diesel,2025-03-05,2025-03-05,500,L,,")  # fmt: skip
    assert year_of(office, 2025, "line-1.product/0/memo/none") == (1_200_000_000, 0)
    assert year_of(office, 2025, "site.diesel/1/stationary_combustion/factor")[0] == 500_000  # 0.5 m³


def test_a_meter_of_the_register_brings_its_ratio_and_its_error(tmp_path: Path) -> None:
    # 310 kWh behind a transformer of 400/5 are 310 · 80 = 24,800 kWh; class 1 and 0.5 make ±√1.25 %.
    register = """
accounting:
  meters:
    kwh-1: {serial: S1, accuracy: 1, ct: {ratio: 400/5, accuracy: 0.5}, shows: secondary}
"""
    office = documents(tmp_path, CONFIG + register)
    head = "kind,asset,carrier,to,quantity,unit,meter"
    enter(office, f"{head}\nindex,genset,electricity,2024-12-31,1000,kWh,kwh-1\n"
                  "index,genset,electricity,2025-01-31,1310,kWh,kwh-1")  # fmt: skip
    assert year_of(office, 2025, "genset.electricity/2/purchased_electricity/location")[0] == 24_800_000_000
    with Ledger.open(office.data) as ledger:
        (meter,) = ledger.meters.values()
        assert (meter.meter, meter.serial) == ("kwh-1", "S1")
        assert meter.uncertainty == pytest.approx(1.25**0.5 / 100)
    with pytest.raises(ConfigError, match="meter: there is no meter 'kwh-2' in the register; did you mean 'kwh-1'"):
        enter(office, f"{head}\nindex,genset,electricity,2025-02-28,1400,kWh,kwh-2")


def test_a_heat_value_is_of_the_unit_its_fuel_is_kept_in(tmp_path: Path) -> None:
    # 31,000 m³ · 33 MJ/m³, both at 20 °C, are 1,023 GJ, in whichever state the account keeps the volume;
    # times 0.0153 tC/GJ · 0.99 · 44/12 = 0.055539 t/GJ are 56.816397 t.
    office = documents(tmp_path)
    enter(office, f"{HEAD},celsius\ndelivery,furnace-1,natural_gas,2025-01-01,2025-01-31,31000,m3,,,20")
    head = "kind,asset,carrier,from,to,ncv,unit,celsius"
    row = "lab,furnace-1,natural_gas,2025-01-01,2025-01-31"
    for said, expected in (
        ("48,GJ/t,", r"unit: furnace-1\.natural_gas is kept in m3; give the heat value per m3"),
        ("33,MJ/m3,", "celsius: the calorific value of a gas per m3 needs the state"),
        ("33000,GJ/m3,20", "ncv: .* no fuel has that"),
        ("33,MJ,20", "unit: 'MJ' is not a heat value"),
    ):
        with pytest.raises(ConfigError, match=expected):
            enter(office, f"{head}\n{row},{said}")
    enter(office, f"{head}\n{row},33,MJ/m3,20")
    assert year_of(office, 2025, GAS)[1] == pytest.approx(56_816_397_000, abs=10)
    with pytest.raises(ConfigError, match="unit: "):  # and the other way round: a mass after a heat value per m³
        enter(office, f"{HEAD}\ndelivery,furnace-1,natural_gas,2025-02-01,2025-02-28,3,t,,")


CERTIFICATE = "kind,scheme,market,technology,production_month,mwh,cancelled_on,first_id,last_id"


def test_certificates_are_kept_and_never_twice(tmp_path: Path) -> None:
    office = documents(tmp_path)
    row = "certificate,GEC,CN,wind,2025-03,100,2025-06-01,GEC0001,GEC0100"
    assert enter(office, f"{CERTIFICATE}\n{row}").entries == 0
    assert [r.document.kind for r in office.register().in_force()] == ["certificate"]
    wrong = row.replace("GEC0100", "GEC0101"), row.replace("2025-06-01", "2025-01-01"), row
    with pytest.raises(ConfigError) as refused:
        enter(office, "\n".join([CERTIFICATE, *wrong]))
    said = [str(p) for p in refused.value.problems]
    assert "hold 101 certificates of 1 MWh, but mwh says 100" in said[0]
    assert "sheet.csv:3: cancelled_on: 2025-01-01 lies before" in said[1]
    assert "was entered already" in said[-1]


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────

MISTAKES = [
    ("delivery,genset,diesel,2025-01-01,2025-01-31,-1,t,,", "quantity: must be greater than or equal to 0"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,nan,t,,", "quantity: 'nan' is not a number"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,inf,t,,", "quantity: 'inf' is not a number"),
    ('delivery,genset,diesel,2025-01-01,2025-01-31,"1,250.5",t,,', "quantity: '1,250.5' is ambiguous"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,１２,t,,", "quantity: '１２' is not a number"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1 250,t,,", "quantity: '1 250' is ambiguous"),
    ("delivery,genset,diesel,31.01.2025,2025-01-31,1,t,,", "from: '31.01.2025' is not a date; write year-month-day"),
    ("delivery,genset,diesel,2025-02-30,2025-03-31,1,t,,", "from: '2025-02-30' is not a day of the calendar"),
    ("delivery,genset,diesel,2025-02-01,2025-01-31,1,t,,", "row: ends on 2025-01-31, before it begins"),
    ("delivery,genset,diesel,2023-01-01,2025-01-31,1,t,,", "row: is longer than a year; split it"),
    ("delivery,genset,diesel,2031-01-01,2031-01-31,1,t,,", "from: 2031-01-01 has not come yet"),
    ("delivery,gensett,diesel,2025-01-01,2025-01-31,1,t,,", "asset: there is no asset 'gensett' in the config"),
    ("delivery,genset,diesl,2025-01-01,2025-01-31,1,t,,", "carrier: 'diesl' is not a fuel or energy the account"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,barn,,", "unit: 'barn' is neither a mass, a volume nor an energy"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,9**9**9,,", "unit: '9**9**9' is neither"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,1,__import__('os'),,", "unit: '__import__('os')' is neither"),
    ("delivery,furnace-1,natural_gas,2025-01-01,2025-01-31,1,m3,,", "celsius: a volume of gas needs the state"),
    ("delivery,furnace-1,natural_gas,2025-01-01,2025-01-31,1,Nm3,,", "unit: 'Nm3' does not say which normal state"),
    ("delivery,genset,diesel,2025-01-01,2025-01-31,9e9,t,,", "quantity: 9000000000 t is more than any site uses"),
    ("delivry,genset,diesel,2025-01-01,2025-01-31,1,t,,", "kind: 'delivry' is no kind of document; did you"),
    (",genset,diesel,2025-01-01,2025-01-31,1,t,,", "kind: say one of delivery, stock"),
    ("delivery,genset,diesel,2025-01-01,,1,t,,", "to: a row of kind delivery needs it"),
    ("lab,genset,diesel,2025-01-01,2025-01-31,1,t,,", "quantity: does not go with kind lab"),
    ("stock,genset,R-999,2025-01-01,2025-01-31,,,,", "opening: a row of kind stock needs it"),
    ("invoice,genset,diesel,2025-01-01,2025-01-31,1,t,,", "asset: nothing meters genset.diesel; enter what"),
]  # fmt: skip


def test_all_mistakes_are_told_at_once_and_nothing_is_entered(tmp_path: Path) -> None:
    office = documents(tmp_path)
    good = "delivery,genset,diesel,2025-05-01,2025-05-31,1,t,good,"
    with pytest.raises(ConfigError) as refused:
        enter(office, "\n".join([HEAD, good, *(row for row, _ in MISTAKES)]))
    said = [str(p) for p in refused.value.problems]
    for line, (row, expected) in enumerate(MISTAKES, 3):
        assert any(text.startswith(f"sheet.csv:{line}: {expected}") for text in said), (row, expected)
    assert year_of(office, 2025, DIESEL) == (0, 0)
    assert not (office.data / evidence.FOLDER).exists()
    with Ledger.open(office.data) as ledger:
        assert ledger.head().seq == 0


def test_a_unit_is_kept_within_a_stream(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-01-01,2025-01-31,1,t,,")
    with pytest.raises(ConfigError, match=r"unit: genset\.diesel is kept in t since document 1"):
        enter(office, f"{HEAD}\ndelivery,genset,diesel,2025-02-01,2025-02-28,1000,L,,")


def test_scans_lie_beside_the_sheet_and_nowhere_else(tmp_path: Path) -> None:
    office = documents(tmp_path)
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "scan.pdf").write_bytes(b"%PDF-1.7 a scan")
    (tmp_path / "secret.pdf").write_bytes(b"not for you")
    (papers / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    head = f"{HEAD},document"
    row = "delivery,genset,diesel,2025-01-01,2025-01-31,1,t,,,"
    for name, expected in (
        ("../secret.pdf", "is not a file name"),
        ("/etc/passwd", "is not a file name"),
        ("..\\secret.pdf", "is not a file name"),
        (".hidden", "is not a file name"),
        ("link.pdf", "there is no file link.pdf"),
        ("none.pdf", "there is no file none.pdf"),
        (f"sha256:{'0' * 64}", "no file of this hash was handed in before"),
    ):
        with pytest.raises(ConfigError, match=expected):
            enter(office, f"{head}\n{row}{name}", folder=papers)
    entered = enter(office, f"{head}\n{row}scan.pdf", folder=papers)
    digest = entered.filed[0].evidence
    assert digest == evidence.sha256(b"%PDF-1.7 a scan")
    assert (office.data / evidence.FOLDER / digest).read_bytes() == b"%PDF-1.7 a scan"
    enter(office, f"{head}\n{row.replace(',1,t', ',2,t')}sha256:{digest}")
