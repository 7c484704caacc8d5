"""OPC UA servers that freeze, forget, come back changed or with a bad certificate: what was missed is read back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization

from collectors.opcua_certificates import CERTIFICATE, KEY, OWN, application_uri
from collectors.opcua_trust import ISSUERS
from pipeline.clock import SECOND_NS
from simulators.certificates import Pair, made
from tests.faults.history_rows import History, all_rows
from tests.faults.plant import DATABASE, Plant
from tests.faults.stages import Stretch, judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.opcua_history import HistoryServer, Start

ITEMS: Final = 4
STEP_MS: Final = 50
URI: Final = "urn:proof:server"
LINE: Final = "line-{}.sequence.count"


@dataclass
class Line:
    """A plant beside a server that signs and encrypts, the server's two certificates, and what was done to them."""

    plant: Plant
    server: HistoryServer
    good: dict[str, str]
    bad: dict[str, str]
    influx: Influxd
    full: bool
    done: list[tuple[str, float, Stretch]] = field(default_factory=list)

    def note(self, what: str, begin: int, back_s: float) -> None:
        """Note a fault that is over: how long until values came again [s]."""
        self.done.append((what, back_s, (begin, newest(self.plant))))


def forgets(line: Line) -> None:
    """The server stands still, ends the session, loses its subscriptions: what it counted meanwhile is read back."""
    for_s = 60.0 if line.full else 5.0

    def stand_still() -> None:
        line.server.freeze()
        time.sleep(for_s)  # how long it stands still
        line.server.thaw()

    for what, do in (
        (f"the server stands still (SIGSTOP, SIGCONT), {for_s:.0f} s", stand_still),
        ("the server ends the session, as after its timeout", lambda: line.server.order("expire")),
        ("the server loses its subscriptions", lambda: line.server.order("forget")),
    ):
        begin = now()
        do()
        line.note(what, begin, reads_on(line.plant))


def moves(line: Line) -> None:
    """The namespace gets another index, and under the old one stands another variable of the same name."""
    begin, backs = now(), []
    for others in (2, 1, 3, 0) if line.full else (2,):
        line.server.start_again(others=others)
        backs.append(reads_on(line.plant))
    line.note(f"the server starts again with another namespace index, {len(backs)} times", begin, max(backs))


def servers_expires(line: Line) -> None:
    """The server's certificate expires and is renewed; what it counted meanwhile is read back.

    In the small dose the namespace moves with it, which saves a start of the server.
    """
    begin = now()
    line.server.start_again(**line.bad)
    line.plant.until(lambda: "has expired on" in line.plant.log, "the expired certificate is told")
    time.sleep(20 if line.full else 0)  # how long nobody mends it
    line.server.start_again(**line.good, others=0 if line.full else 2)
    line.note("the server's certificate expired, then renewed", begin, reads_on(line.plant))


def own_expires(line: Line) -> None:
    """The gateway's own certificate has expired: it says so at each connection until it shows the renewed one.

    Whether the server takes the expired one is the server's affair.
    """
    plant, begin, told = line.plant, now(), "the gateway's certificate has expired on"
    end(plant)
    outdated, own = made("tanflow", application_uri(), **past()), plant.data / "certs" / OWN
    (own / CERTIFICATE).write_bytes(outdated.der)
    (own / KEY).write_bytes(outdated.key_pem)
    said = len(plant.log)
    plant.start()
    plant.until(lambda: told in plant.log[said:], "it is told")
    certs = [sys.executable, "-m", "tanflow", "certs"]
    checked = subprocess.run([*certs, "check", "-c", str(plant.config)], capture_output=True, text=True, check=False)
    assert checked.returncode != 0
    assert "the gateway's certificate has expired" in " ".join((checked.stdout + checked.stderr).split())
    subprocess.run([*certs, "renew", "--data", str(plant.data)], check=True)
    line.server.order("expire")
    back_s = reads_on(plant)
    said = len(plant.log)
    line.server.order("expire")
    reads_on(plant)
    assert told not in plant.log[said:]
    line.note("the gateway's own certificate expired, then renewed", begin, back_s)


ACTS: Final = (forgets, moves, servers_expires, own_expires)
SMALL: Final = (forgets, servers_expires, own_expires)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind of fault on its own in full, one after the other in the small dose."""
    if "acts" in metafunc.fixturenames:
        each = [(act,) for act in ACTS] if metafunc.config.getoption("--full") else [SMALL]
        metafunc.parametrize("acts", each, ids=lambda acts: acts[0].__name__)


@pytest.fixture
def line(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, start_history: Start, full: bool) -> Line:
    """The plant, not yet started, and its server, which signs with the good certificate."""
    influx.create(DATABASE)
    authority = made("authority", authority=True)
    good, bad = (kept(tmp_path / name, pair) for name, pair in (
        ("good", made("plc", URI, issuer=authority)), ("bad", made("plc", URI, issuer=authority, **past()))
    ))  # fmt: skip
    begun = time.time() * 1000
    server = start_history("node-opcua", items=ITEMS, step_ms=STEP_MS, begun=begun, others=0, uri=URI, **good)
    number = {"quantity": "count", "unit": "1"}
    assets = {
        f"line-{i}": {"type": "other", "carrier": "none", "devices": {"plc": {"connection": "line", "points": {
            "sequence": number | {"opcua": {"node": f"nsu=urn:proof:line;s=v{i}"}}}}}}
        for i in range(ITEMS)
    }  # fmt: skip
    connection = {"protocol": "opcua", "url": server.url, "every_s": 0.1, "sampling_s": 0, "queue": 1_000,
                  "stale_s": 3, "timeout_s": 10, "backoff_max_s": 1, "security": {}}  # fmt: skip
    changes = {"connections": {"line": connection}, "areas": {"hall": {"assets": assets}}}
    plant = Plant(tmp_path, influx.url, mosquitto.port, changes=changes)
    issuers = plant.data / "certs" / ISSUERS
    issuers.mkdir(parents=True)
    (issuers / "authority.der").write_bytes(authority.der)
    return Line(plant, server, good, bad, influx, full)


def test_what_a_server_counted_meanwhile_is_read_back(line: Line, acts: tuple[Callable[[Line], None], ...]) -> None:
    with line.plant.alive(publishing=False):
        line.plant.start()
        reads_on(line.plant)
        for act in acts:
            act(line)
        end(line.plant)
    rows = all_rows(line.plant.data)
    for what, back_s, between in line.done:
        told(line, rows, what, back_s, between)
    assert max(row.value for i in range(ITEMS) for row in rows[LINE.format(i)]) < 1e9, "a value of another variable"


def now() -> int:
    """Return when a fault begins, with the last values before it [ns]."""
    return time.time_ns() - SECOND_NS // 2


def past() -> Mapping[str, Any]:
    """Return the dates of a certificate that has expired."""
    now = datetime.now(UTC)
    return {"since": now - timedelta(days=400), "until": now - timedelta(days=1)}


def kept(folder: Path, pair: Pair) -> dict[str, str]:
    """Return the files of a certificate and its key, as a server takes them."""
    folder.mkdir()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(pair.key_pem)
    return {"certificate": str(certificate), "key": str(key)}


def newest(plant: Plant) -> int:
    """Return the time of the newest accepted number of the variable that is furthest behind [ns]."""
    return min(plant.witness.newest_ns(LINE.format(i)) for i in range(ITEMS))


def reads_on(plant: Plant) -> float:
    """Return how long it took until values of a time after now were accepted [s]; a second more has been read then."""
    now_ns = time.time_ns()
    plant.until(lambda: newest(plant) > now_ns, "values come")
    back_s = (time.time_ns() - now_ns) / SECOND_NS
    plant.until(lambda: newest(plant) > now_ns + SECOND_NS, "values come on")
    return back_s


def end(plant: Plant) -> None:
    """End the gateway when everybody has taken what it has."""
    plant.caught_up()
    plant.stop()


def told(line: Line, rows: History, what: str, back_s: float, between: Stretch) -> None:
    """Judge a fault; each variable's numbers must follow one another without a hole."""
    missing = doubled = count = 0
    for i in range(ITEMS):
        numbers = [r.value for r in rows[LINE.format(i)] if r.value >= 0 and between[0] <= r.time_ns <= between[1]]
        step = np.diff(numbers)
        missing += int((step[step > 1] - 1).sum())
        doubled += int((step < 1).sum())
        count += len(numbers)
    verdict = judge(line.plant.witness, (), influx=line.influx, between=between)
    verdict = replace(verdict, missing=verdict.missing + missing, doubled=verdict.doubled + doubled)
    assert verdict.sound(), (what, verdict)
    happened(Fault("OPC UA", what, verdict, back_s, f"{count:,} numbers of {ITEMS} variables without a hole"))
