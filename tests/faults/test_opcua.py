"""OPC UA servers that freeze, forget, come back changed or with a bad certificate: what was missed is read back."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives import serialization

from collectors.opcua_certificates import CERTIFICATE, KEY, OWN, application_uri
from collectors.opcua_trust import ISSUERS
from pipeline.clock import SECOND_NS
from simulators.certificates import Pair, made
from tests.faults.history_rows import History, all_rows
from tests.faults.plant import DATABASE, Plant
from tests.faults.stages import EVER, Stretch, judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.opcua_history import HistoryServer, Start

ITEMS: Final = 4
STEP_MS: Final = 50
URI: Final = "urn:proof:server"
LINE: Final = "line-{}.sequence.count"
Do = Callable[[HistoryServer, float], None]


def line(folder: Path, url: str, influx: Influxd, mosquitto: Mosquitto, node: str, **more: Any) -> Plant:
    """Return the plant with a server of numbered variables besides."""
    influx.create(DATABASE)
    number = {"quantity": "count", "unit": "1"}
    assets = {
        f"line-{i}": {"type": "other", "carrier": "none", "devices": {"plc": {"connection": "line", "points": {
            "sequence": number | {"opcua": {"node": node.format(i)}}}}}}
        for i in range(ITEMS)
    }  # fmt: skip
    server = {"protocol": "opcua", "url": url, "every_s": 0.1, "sampling_s": 0, "queue": 1_000, "stale_s": 1.5,
              "timeout_s": 2, "backoff_max_s": 1} | more  # fmt: skip
    changes = {"connections": {"line": server}, "areas": {"hall": {"assets": assets}}}
    return Plant(folder, influx.url, mosquitto.port, changes=changes)


def freeze(server: HistoryServer, for_s: float) -> None:
    server.freeze()
    time.sleep(for_s)  # how long it stands still
    server.thaw()


FORGETS: Final[tuple[tuple[str, Do], ...]] = (
    ("the server stands still (SIGSTOP, SIGCONT), {:.0f} s", freeze),
    ("the server ends the session, as after its timeout", lambda server, _: server.order("expire")),
    ("the server loses its subscriptions", lambda server, _: server.order("forget")),
)


def test_what_a_server_forgets_is_read_back(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, start_history: Start, full: bool
) -> None:
    server = start_history("node-opcua", items=ITEMS, step_ms=STEP_MS)
    plant = line(tmp_path, server.url, influx, mosquitto, "ns=1;s=v{}")
    for_s = 60.0 if full else 3.0
    done = []
    with plant.alive(publishing=False):
        plant.start()
        reads_on(plant)
        for what, do in FORGETS:
            begin = time.time_ns() - SECOND_NS // 2
            do(server, for_s)
            done.append((what.format(for_s), reads_on(plant), (begin, newest(plant))))
        end(plant)
    for what, back_s, between in done:
        told(plant, what, influx, back_s, between)


def test_a_namespace_that_moves_is_found_again(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, start_history: Start, full: bool
) -> None:
    """Under the old index stands another variable of the same name: its value must not be taken."""
    begun = time.time() * 1000
    server = start_history("node-opcua", items=ITEMS, step_ms=STEP_MS, begun=begun, others=0)
    plant = line(tmp_path, server.url, influx, mosquitto, "nsu=urn:proof:line;s=v{}")
    with plant.alive(publishing=False):
        plant.start()
        reads_on(plant)
        backs = []
        for others in (2, 1, 3, 0) if full else (2,):
            server.start_again(others=others)
            backs.append(reads_on(plant))
        end(plant)
    rows = told(plant, f"the server starts again with another namespace index, {len(backs)} times", influx, max(backs))
    assert max(row.value for i in range(ITEMS) for row in rows[LINE.format(i)]) < 1e9


def test_an_expired_certificate_is_refused_until_it_is_renewed(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, start_history: Start, full: bool
) -> None:
    """The server's first, then the gateway's own; both sides have their history read back when they talk again."""
    authority = made("authority", authority=True)
    good, bad = (kept(tmp_path / name, pair) for name, pair in (
        ("good", made("plc", URI, issuer=authority)), ("bad", made("plc", URI, issuer=authority, **past()))
    ))  # fmt: skip
    server = start_history("node-opcua", items=ITEMS, step_ms=STEP_MS, begun=time.time() * 1000, uri=URI, **good)
    plant = line(tmp_path, server.url, influx, mosquitto, "ns=1;s=v{}", security={})
    certs = plant.data / "certs"
    (certs / ISSUERS).mkdir(parents=True)
    (certs / ISSUERS / "authority.der").write_bytes(authority.der)
    with plant.alive(publishing=False):
        plant.start()
        reads_on(plant)
        server.start_again(**bad)
        plant.until(lambda: "has expired on" in plant.log, "the expired certificate is told")
        time.sleep(20 if full else 0)  # how long nobody mends it
        before = newest(plant)
        server.start_again(**good)
        back_s = reads_on(plant)
        assert before < newest(plant)
        end(plant)
        told(plant, "the server's certificate expired, then renewed", influx, back_s)
        own = certs / OWN
        outdated = made("tanflow", application_uri(), **past())
        (own / CERTIFICATE).write_bytes(outdated.der)
        (own / KEY).write_bytes(outdated.key_pem)
        said = len(plant.log)
        plant.start()
        plant.until(
            lambda: "expired" in plant.log[said:] or "BadCertificateTimeInvalid" in plant.log[said:], "it is told"
        )
        subprocess.run([sys.executable, "-m", "tanflow", "certs", "renew", "--data", str(plant.data)], check=True)
        back_s = reads_on(plant)
        end(plant)
        told(plant, "the gateway's own certificate expired, then renewed", influx, back_s)


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


def told(plant: Plant, what: str, influx: Influxd, back_s: float, between: Stretch = EVER) -> History:
    """Judge; each variable's numbers must follow one another without a hole. Return all rows."""
    rows = all_rows(plant.data)
    missing = doubled = count = 0
    for i in range(ITEMS):
        numbers = [r.value for r in rows[LINE.format(i)] if r.value >= 0 and between[0] <= r.time_ns <= between[1]]
        step = np.diff(numbers)
        missing += int((step[step > 1] - 1).sum())
        doubled += int((step < 1).sum())
        count += len(numbers)
    verdict = judge(plant.witness, (), influx=influx, between=between)
    verdict = replace(verdict, missing=verdict.missing + missing, doubled=verdict.doubled + doubled)
    assert verdict.sound(), (what, verdict)
    happened(Fault("OPC UA", what, verdict, back_s, f"{count:,} numbers of {ITEMS} variables without a hole"))
    return rows
