"""The data of a gateway that does not run is broken in each way; `tanflow doctor` says which and what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from config.load import load
from pipeline.clock import SECOND_NS
from pipeline.heartbeat import FREE_KEY
from pipeline.log.schema import open_writer
from tests.operations.asking import doctor, finding, wrong
from tests.operations.certificate import ending
from tests.operations.conftest import newest_ns
from tests.security.echo import echo
from tests.tanflow.command import said


@dataclass(frozen=True, slots=True)
class Still:
    """A configuration on the data of a gateway that does not run; nothing else is wrong with it."""

    config: Path
    data: Path
    now_ns: int  # an hour after the gateway has ended, whatever the day of the test

    def write(self, more: str = "", data: str = "", connections: str = "") -> None:
        """Write configuration and ballast."""
        self.config.write_text(
            f"version: 1\nsite: {{name: s, region: CN-GD}}\ndata: {{dir: data, ballast_mb: 1{data}}}\napi: null\n"
            f"connections:\n  floor: {{protocol: modbus}}\n{connections}areas:\n  a:\n    assets:\n      m:\n"
            "        type: meter\n        rated_kw: 10\n        devices:\n          d:\n            connection: floor\n"
            "            address: 127.0.0.1/1\n            points:\n"
            "              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}\n" + more
        )
        (self.data / "ballast").write_bytes(b"\0" * (1 << 20))

    def ask(self, later_s: float = 0.0) -> dict[str, Any]:
        """Return what the doctor says, so much later; something is always wrong, for no gateway runs."""
        code, said = doctor(self.config, at_ns=self.now_ns + round(later_s * SECOND_NS))
        assert (code, said["well"]) == (1, False)
        return said

    def put(self, statement: str, *values: object) -> None:
        """Write into the log."""
        with closing(open_writer(self.data)) as log:
            log.execute(statement, values)


@pytest.fixture
def still(earlier: Path) -> Still:
    one = Still(earlier.parent / "gateway.yaml", earlier, newest_ns(earlier) + 3_600 * SECOND_NS)
    one.write()
    earlier.chmod(0o700)
    return one


def test_nothing_else_is_wrong(still: Still) -> None:
    """An hour or ten years later."""
    for later_s in (0.0, 10 * 365 * 86_400.0):
        assert [w.partition(" on ")[0] for w in wrong(still.ask(later_s))] == ["no gateway runs"]


def test_a_file_of_other_data_is_left_aside(
    still: Still, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--data alone, in the folder of another gateway: what that file says is not held against this data."""
    other = still.config.parent / "other"
    other.mkdir()
    sink = "{db: {type: influxdb, api: v1, url: 'http://127.0.0.1:9', database: d}}"
    still.write(connections=f"  spare: {{protocol: modbus}}\nsinks: {sink}\n")
    shutil.copy(still.config, other)
    monkeypatch.chdir(other)
    own = said(monkeypatch, capsys, "doctor", "--data", still.data)
    assert f"note  configuration: gateway.yaml is of the data in {other / 'data'}; it is left aside" in own.out
    assert "floor" not in own.out
    assert "sink" not in own.out.replace("connections, sinks", "")
    assert "no gateway runs on this data directory" in own.out
    named = said(monkeypatch, capsys, "doctor", "--data", still.data, "-c", "gateway.yaml")
    assert "floor: last reading" in named.out
    assert "left aside" not in named.out
    monkeypatch.chdir(still.config.parent)
    assert "floor: last reading" in said(monkeypatch, capsys, "doctor", "--data", "data").out
    monkeypatch.chdir(still.data)
    bare = said(monkeypatch, capsys, "doctor", "--data", still.data)
    assert "note  configuration: there is no gateway.yaml here, so nothing is said of connections" in bare.out
    assert "1 thing is wrong" in bare.out, "no gateway runs"


def test_the_data_directory(still: Still) -> None:
    data, before = still.data, set(wrong(still.ask()))
    data.chmod(0o755)
    assert finding(still.ask(), "others may look into")["do"].startswith("chmod 700")
    data.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(data / "log.db", 12345, 12345)
        assert "chown -R" in finding(still.ask(), "holds files of 12345")["do"]
        os.chown(data / "log.db", os.getuid(), os.getgid())
    (data / "ballast").unlink()
    assert "the disk was" in finding(still.ask(), "the ballast")["what"]
    still.write(data=", min_free_mb: 100000000")
    assert "min_free_mb" in finding(still.ask(), "are free on its disk")["do"]
    still.write()
    (data / "format").write_text("tanflow data 99\n")
    assert finding(still.ask(), "'tanflow data 99'")
    (data / "format").write_text("tanflow data 1\n")
    (data / ".backup-999999999").mkdir()
    (data / "restored.json").write_text('{"host": "h", "folder": "/f", "made_ns": 1, "at_ns": 2}')
    said = still.ask()
    notes = [f["what"] for f in said["findings"] if not f["wrong"]]
    assert any("left of a backup" in n for n in notes)
    assert any("only one of the two may run" in n for n in notes)
    assert set(wrong(said)) == before


def test_a_file_system_that_is_read_only(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux makes it after errors of the disk; the log is not blamed. Without the right to mount it is pretended."""
    for left in still.data.glob("log.db-*"):
        left.unlink()  # of whoever only read it; without them SQLite has to make them
    if os.geteuid() == 0:
        script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
        asked = [sys.executable, "-m", "tanflow", "doctor", "-c", str(still.config), "--json"]
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(still.data), *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 1, done.stderr
        said = json.loads(done.stdout)
        assert "cannot be read" in finding(said, "", "log")["what"]
    else:
        true = os.statvfs(still.data)
        room = {
            "f_bavail": true.f_bavail,
            "f_bfree": true.f_bfree,
            "f_blocks": true.f_blocks,
            "f_frsize": true.f_frsize,
        }
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY, **room))
        said = still.ask()
    assert "remount,rw" in finding(said, "is on a file system that is read-only")["do"]
    assert all("restore" not in f["do"] for f in said["findings"]), said


@pytest.mark.parametrize(
    ("file", "words"), [("log.db", "cannot be read"), ("ledger.db", "ledger.db"), ("history", "parquet")]
)
def test_damage_is_found(still: Still, file: str, words: str) -> None:
    path = still.data / file
    if path.is_dir():
        path = next((path / "raw").glob("*.parquet"))
    damaged = bytearray(path.read_bytes())
    for at in range(100, len(damaged) // 2, 64):
        damaged[at] ^= 0xFF
    path.write_bytes(damaged)
    said = still.ask()
    assert any(words in w for w in [*wrong(said, "records"), *wrong(said, "log")]), said["findings"]


def test_what_the_history_lost_is_told(still: Still) -> None:
    """Without reading it through as well."""
    shutil.rmtree(still.data / "history" / "1m")
    told = finding(still.ask(), "history/1m: the rows of log positions 1 to ")
    assert told["do"].startswith("keep a copy of this directory before anything in it is changed")
    shutil.rmtree(still.data / "history" / "raw")
    still.put("INSERT OR IGNORE INTO series (key) VALUES (?)", FREE_KEY)
    assert not [w for w in wrong(still.ask()) if "could not be looked at" in w]
    shutil.rmtree(still.data / "history")
    with closing(open_writer(still.data)) as log:
        assert log.execute("DELETE FROM log WHERE position < 7").rowcount
    assert "1 to 6 are missing" in finding(still.ask(), "history/raw, history/1m, history/1h")["what"]


def test_history_of_another_log_is_told(still: Still) -> None:
    (still.data / "log.db").unlink()
    assert "restore" in finding(still.ask(), "log.db is gone")["do"]
    open_writer(still.data).close()
    said = still.ask()
    assert wrong(said, "records"), said["findings"]


def test_the_clock(still: Still) -> None:
    """Set back, to a time before the newest reading; not set at two starts."""
    told = finding(still.ask(-7_200), "the clock was set back")
    assert "set the clock" in told["do"]
    still.put("INSERT INTO boots VALUES ('a', 1, NULL), ('b', 2, NULL)")
    assert "set-ntp" in finding(still.ask(), "the clock was not set when the gateway started")["do"]


def test_dead_letters_and_rows_the_policy_gave_up(still: Still) -> None:
    letter = "INSERT INTO dead (at_ns, component, source, reason, raw) VALUES (?, 'sink.db', ?, ?, x'')"
    still.put(letter, still.now_ns - SECOND_NS, "policy", "12 rows older than 1 h were dropped")
    still.put(letter, still.now_ns - SECOND_NS, "db", "field type conflict")
    said = still.ask()
    given_up = finding(said, "rows were given up: 12 rows older")
    assert "tanflow resend" in given_up["do"]
    assert given_up["since_ns"] == still.now_ns - SECOND_NS
    assert finding(said, "1 dead letters in the last 24 h; the last: field type conflict")
    assert not wrong(still.ask(90_000), "sink.db")  # a day later


def test_wrong_credentials_of_a_database(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCTORS_TOKEN", "a token nobody knows")
    with echo() as port:
        still.write(
            f'sinks:\n  new: {{type: influxdb, api: v2, url: "http://127.0.0.1:{port}/401", org: o, bucket: b, '
            "token: {env: DOCTORS_TOKEN}}\n"
        )
        told = finding(still.ask(), "answers 401")
    assert "check token:" in told["what"]
    assert told["about"] == "sink new"
    assert "a token nobody knows" not in str(told)


def test_a_reading_of_this_moment_is_of_no_negative_age(
    still: Still, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor looks at its clock before it looks at the log."""
    still.write()
    monkeypatch.setattr(
        "tanflow.commands.doctor.facts", lambda seen: {"last_reading_ns": {"floor": seen.now_ns + SECOND_NS}}
    )
    assert "floor: last reading 0 s ago" in said(monkeypatch, capsys, "doctor", "-c", still.config).out


def test_a_terminal_without_arrows_gets_their_numbers(still: Still) -> None:
    asked = [sys.executable, "-m", "tanflow", "doctor", "-c", str(still.config)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\n        \\u2192 " in done.stdout


def test_secrets_every_user_may_read(still: Still) -> None:
    """A password and a private key: the doctor calls them wrong, the configuration is doubted at their lines."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("key", "password", "ours"):
            (place / name).write_text("not for all\n")
            (place / name).chmod(0o644 if name != "ours" else 0o640)
        b = "protocol: mqtt, host: 127.0.0.1, username: u"
        connections = (
            f"  b1: {{{b}, client_id: a, password: {{file: {place}/password}},\n"
            f"    tls: {{ca: {place}/ours, certificate: {place}/key, key: {place}/key}}}}\n"
            f"  b2: {{{b}, client_id: b, password: {{file: {place}/ours}}}}\n"
        )
        still.write(connections=connections)
        assert [w for w in wrong(still.ask()) if "may read" in w] == []  # nobody may go into the folder
        place.chmod(0o755)
        said = still.ask()
        assert {f["about"] for f in said["findings"] if f["wrong"] and "may read" in f["what"]} == {
            "connections.b1.password", "connections.b1.tls.key",
        }  # fmt: skip
        assert str(said).count(f"may read {place}/key;") == 1
        lines = [str(w) for w in load(still.config).warnings if "every user" in w.message]
    where = f"{still.config}:"
    assert [line.removeprefix(where).partition(" every")[0] for line in lines] == [
        "7: connections.b1.password:", "8: connections.b1.tls.key:",
    ]  # fmt: skip


def test_serial_ports_certificates_and_a_wrong_configuration(still: Still, tmp_path: Path) -> None:
    soon, over = tmp_path / "soon.pem", tmp_path / "over.pem"
    now = datetime.fromtimestamp(still.now_ns / 1e9, UTC)
    soon.write_bytes(ending(now + timedelta(days=9, hours=1)))
    over.write_bytes(ending(now - timedelta(days=2)))
    still.write(
        connections="  line: {protocol: modbus, framing: rtu, serial: {port: /dev/ttyNONE}}\n"
        f"  b1: {{protocol: mqtt, host: 127.0.0.1, client_id: a, tls: {{ca: {soon}}}}}\n"
        f"  b2: {{protocol: mqtt, host: 127.0.0.1, client_id: b, tls: {{ca: {over}}}}}\n",
    )
    said = still.ask()
    assert finding(said, "/dev/ttyNONE does not exist")["about"] == "connection line"
    assert finding(said, "ends in 9 days")["about"] == "connection b1"
    assert finding(said, "has ended on")["since_ns"] is not None

    still.config.write_text("version: 1\nsight: {}\n")
    assert wrong(still.ask(), "configuration")
