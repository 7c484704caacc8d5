"""The command line as a person meets it: exit codes, sentences, and a demo that ends by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.clock import Clock
from pipeline.log.log import Log
from pipeline.log.writer import DeadLetter, Entry
from tanflow.cli import duration, main
from tanflow.log_lines import Text
from tests.pipeline.tables import START, readings

ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "check", "demo", "simulate", "status", "tail", "deadletters")


@dataclass
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tanflow:
    """Call the command line within this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tanflow", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return call


def test_a_gateway_that_runs_does_not_carry_what_it_may_never_need() -> None:
    unneeded = {"rich", "duckdb", "asyncua", "paho", "pymodbus", "influxdb_client", "numpy.random", "pint", "openpyxl"}
    code = f"import sys, tanflow.cli, tanflow.running, sinks.influxdb; print(*{unneeded!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.stderr, done.returncode) == ("\n", "", 0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A demo of some seconds in a process of its own, on free ports, and the data it leaves."""
    folder = tmp_path_factory.mktemp("demo")
    arguments = ("-m", "tanflow", "demo", "--for", "12s", "--port", "0", "--data", str(folder))
    environment = os.environ | {"COLUMNS": "200"}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return folder, ended


def test_the_demo_ends_by_itself_and_its_accounts_agree(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, ended = demo
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    numbers = next(line for line in ended.stdout.splitlines() if re.match(r"^\s+[\d,]+\s+\d", line))
    accepted, rejected, rows, stored, backlog, lost = (int(n.replace(",", "")) for n in numbers.split())
    assert accepted > 100
    assert (rejected, backlog, lost) == (0, 0, 0)
    assert rows == stored
    lines = {line.split()[0]: line for line in ended.stdout.splitlines() if line.rstrip().endswith((" ok", " DIFFERS"))}
    assert set(lines) == {"main-meter", "compressor-1", "compressor-2", "chiller-1", "pv-1", "furnace-1"}
    assert all(line.rstrip().endswith(" ok") for line in lines.values())
    assert "integrated power" in lines["chiller-1"]


def test_a_second_demo_on_the_same_data_goes_on(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    arguments = ("-m", "tanflow", "demo", "--for", "6s", "--port", "0", "--data", str(folder))
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_look_at_what_the_demo_left(demo: tuple[Path, subprocess.CompletedProcess[str]], tanflow: Tanflow) -> None:
    folder, _ = demo
    status = tanflow("status", "--data", folder)
    assert status.code == 0
    assert re.search(r"history\W+\d+\W+0\W", status.out)
    assert "snapshot of floor" in status.out
    assert re.search(r"floor\W+up\W+\d+\W+\d+\W+[\d.]+ ms", status.out)
    assert "0 dead letters" in status.out
    tail = tanflow("tail", "--data", folder, "-n", 5, "power")
    assert tail.code == 0
    lines = tail.out.splitlines()
    assert 1 <= len(lines) <= 5
    assert all("power" in line and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  ", line) for line in lines)
    assert tanflow("deadletters", "--data", folder).code == 0


@pytest.mark.parametrize("command", ["status", "tail", "deadletters"])
def test_a_directory_no_gateway_wrote_to_is_a_sentence(command: str, tmp_path: Path, tanflow: Tanflow) -> None:
    said = tanflow(command, "--data", tmp_path / "nowhere")
    assert said.code == 1
    assert said.out == ""
    assert "no gateway has written to" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does(command: str, tanflow: Tanflow) -> None:
    said = tanflow(command, "--help")
    assert said.code == 0
    assert "Usage" in said.out


def test_without_a_command_all_are_listed(tanflow: Tanflow) -> None:
    said = tanflow()
    assert all(command in said.out + said.err for command in COMMANDS)


def test_a_valid_configuration_is_summed_up(tanflow: Tanflow) -> None:
    said = tanflow("check", "-c", ROOT / "simulators" / "factory.yaml")
    assert said.code == 0
    assert "valid — 7 assets, 9 devices, " in said.out
    assert "  air-station: specific-power, specific-energy, unload-share" in said.out
    assert "  furnace-1: no drift: 'furnace-1' does not state 'baseline_kwh_t'" in said.out
    known = "Drive: fixed speed, oil-injected screw; Cooling: air; 55 kW; 0.7 MPa"
    assert f"GB 19153-2019 ({known}): 6, 6.5, 7.2 kW/(m3/min)" in said.out


def test_all_mistakes_of_a_configuration_are_told_with_their_lines(tanflow: Tanflow) -> None:
    folder = ROOT / "tests" / "data" / "broken" / "many-mistakes"
    expected = (folder / "expected.txt").read_text().split("\n")
    said = tanflow("check", "-c", folder / "gateway.yaml")
    assert said.code == 2
    lines = said.err.splitlines()
    assert len(lines) == len([e for e in expected if e]) > 1
    assert all(re.match(rf"{re.escape(str(folder))}/gateway\.yaml:\d+: [^ ]+: ", line) for line in lines)


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_configuration_is_a_sentence(command: str, tmp_path: Path, tanflow: Tanflow) -> None:
    said = tanflow(command, "-c", tmp_path / "none.yaml")
    assert said.code == 2
    assert said.err.startswith(f"{tmp_path}/none.yaml:1: gateway: the file cannot be read: No such file")


def test_a_scenario_that_cannot_work_is_a_sentence(tmp_path: Path, tanflow: Tanflow) -> None:
    (tmp_path / "s.yaml").write_text("version: 1\n")
    said = tanflow("simulate", tmp_path / "s.yaml")
    assert said.code == 2
    assert "nothing to simulate" in said.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("5min", 300), ("5 m", 300), ("2h", 7200), ("0.5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 days", "-1s", "0", "1e99", "nan", "inf"])
def test_what_is_no_duration_is_told(text: str, tanflow: Tanflow) -> None:
    if text:  # none at all means: run on
        said = tanflow("demo", f"--for={text}")
        assert said.code == 2
        assert "duration" in said.err


def test_a_data_directory_that_cannot_be_is_a_sentence(tmp_path: Path, tanflow: Tanflow) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        said = tanflow("demo", "--for", "1s", "--port", 0, "--data", place)
        assert said.code == 1
        assert f"{place} cannot be the data directory" in said.err


def test_a_scenario_that_is_not_there_is_told_with_what_is(tanflow: Tanflow) -> None:
    said = tanflow("demo", "--scenario", "leek", "--port", 0)
    assert said.code == 2
    assert "there is no such scenario; did you mean 'leak'?" in said.err


def test_a_scenario_does_not_go_back_before_what_is_there(
    demo: tuple[Path, subprocess.CompletedProcess[str]], tanflow: Tanflow
) -> None:
    folder, _ = demo
    said = tanflow("demo", "--scenario", "leak", "--port", 0, "--data", folder)
    assert said.code == 2
    assert "newer than the scenario's beginning" in said.err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "log.db is not ready yet: a gateway is starting"), (b"no database" * 1_000, "the log cannot be read")],
)
@pytest.mark.parametrize("command", ["status", "tail", "deadletters"])
def test_a_damaged_log_is_a_sentence(
    tmp_path: Path, tanflow: Tanflow, command: str, content: bytes, words: str
) -> None:
    (tmp_path / "log.db").write_bytes(content)
    said = tanflow(command, "--data", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("tanflow: ")
    assert words in said.err


async def _leave_dead_letters(folder: Path) -> None:
    log = Log(folder, Clock(), 0.001)
    words = "field type conflict [bold]not markup[/bold]"
    letters = [DeadLetter(START, "sink.db", f"row {n}", words, b"power=\xff\n") for n in range(3)]
    await log.append(Entry([readings([0, 1, 2], [1.0, 2.0, 3.0])], dead=letters))
    for n in range(40):
        await log.append(Entry([readings([10 + n], [float(n)])]))
    await log.close()


def test_dead_letters_and_rows_are_shown_as_they_are(tmp_path: Path, tanflow: Tanflow) -> None:
    asyncio.run(_leave_dead_letters(tmp_path))
    said = tanflow("deadletters", "--data", tmp_path, "-n", 2)
    assert "row 0" not in said.out
    assert all(
        text in said.out for text in ("row 1", "row 2", "2018-01-01T00:00:00.000Z", "not markup[/bold]", "\\xff")
    )
    tail = tanflow("tail", "--data", tmp_path, "-n", 4)
    assert [line.split()[-2] for line in tail.out.splitlines()] == ["36.000000", "37.000000", "38.000000", "39.000000"]
    assert "3 dead letters" in tanflow("status", "--data", tmp_path).out


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_tail_shows_as_many_rows_as_asked_for_however_wide_the_commits(
    rows: int, tmp_path: Path, tanflow: Tanflow
) -> None:
    """Commits of 6,000 rows: more than one read brings."""
    asyncio.run(_wide(tmp_path))
    said = tanflow("tail", "--data", tmp_path, "-n", rows)
    assert len(said.out.splitlines()) == rows


async def _wide(folder: Path) -> None:
    log = Log(folder, Clock(), 0.001)
    for _ in range(5):
        await log.append(Entry([readings(range(6_000), [1.0] * 6_000)]))
    await log.close()


def test_words_of_others_are_one_line_of_the_log() -> None:
    """A server's answer that looks like a line of the log, or paints the terminal, is shown as what it is."""
    said = "answers 500: no\n2026-01-01 INFO tanflow: all is well\x1b[2J\u202e"
    record = logging.LogRecord("tanflow.notify", logging.WARNING, "", 1, "mail %s", (said,), None)
    told = Text().format(record)
    words = "mail answers 500: no\\n2026-01-01 INFO tanflow: all is well\\x1b[2J\\u202e"
    assert told.endswith(f"WARNING tanflow.notify: {words}")
