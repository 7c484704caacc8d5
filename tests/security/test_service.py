"""systemd/tanflow.service: how little it leaves open, and that the gateway lives with that and tells systemd."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.running import PLANT, ROOT, TANFLOW, started, until_it_answers
from tests.services.ports import free_port
from tests.waiting import until_sync

UNIT = ROOT / "systemd" / "tanflow.service"
MOST_EXPOSED = 1.4  # of 10, by systemd-analyze 252: the network, the machine's root, asking for the clock's state
INTERVAL_S = 0.4  # between two signs of life that the test asks for
SO_TIMESTAMPNS = 35  # socket(7), on the processors this runs on


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing: scripts/needs systemd-analyze installs it or says how")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=300)


def test_the_unit_exposes_little() -> None:
    answer = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED * 10:.0f}", str(UNIT))
    assert answer.returncode == 0, answer.stdout
    found = re.search(r"Overall exposure level for tanflow\.service: ([\d.]+)", answer.stdout)
    assert found is not None, answer.stdout
    assert float(found[1]) <= MOST_EXPOSED, answer.stdout


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    there = tmp_path / "tanflow.service"
    there.write_text(UNIT.read_text().replace("/opt/tanflow/.venv/bin/tanflow", "/bin/true"))
    answer = analyze("verify", "--man=no", str(there))
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def test_the_guide_names_the_unit_and_repeats_none_of_it() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    assert "systemd/tanflow.service" in guide
    assert "NoNewPrivileges" not in guide
    for command in ("run -c", "reload -c"):
        assert f"/opt/tanflow/.venv/bin/tanflow {command} /etc/tanflow/gateway.yaml" in UNIT.read_text()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of sd_notify(3) that systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(300)
        yield listener


def heard(systemd: socket.socket) -> tuple[float, str]:
    """Return when the next words were said [s], however late they are heard here, and the words."""
    words, ((_, _, stamp),), *_ = systemd.recvmsg(4096, 64)
    seconds, nanoseconds = struct.unpack("qq", stamp)
    return seconds + nanoseconds / 1e9, words.decode()


def test_it_tells_systemd_that_it_is_ready_lives_hangs_and_stops(tmp_path: Path, systemd: socket.socket) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(PLANT.replace("DATA", str(tmp_path / "data")).replace("PORT", str(free_port())))
    hangs = (
        "import asyncio, pathlib, signal, sys, time\n"
        "from config.load import load\n"
        "from tanflow.running import run_gateway\n"
        "async def main():\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, time.sleep, float(sys.argv[2]))\n"
        "    sys.exit(await run_gateway(load(pathlib.Path(sys.argv[1]))))\n"
        "asyncio.run(main())\n"
    )
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(int(INTERVAL_S * 1e6))}
    hang_s = 10 * INTERVAL_S
    with started([sys.executable, "-c", hangs, config, str(hang_s)], tmp_path / "said", env) as process:
        while heard(systemd)[1] != "READY=1":
            pass
        said = [heard(systemd) for _ in range(6)]
        assert {words for _, words in said} == {"WATCHDOG=1"}
        alive = [at for at, _ in said]
        mean_s = (alive[-1] - alive[0]) / (len(alive) - 1)
        assert mean_s > INTERVAL_S / 4  # half the interval, never a flood
        process.send_signal(signal.SIGUSR1)
        gaps = [at - before for before, at in itertools.pairwise(alive)]
        while max(gaps) < hang_s - INTERVAL_S:  # the loop hangs: no sign of life until it runs again
            at, words = heard(systemd)
            assert words == "WATCHDOG=1"
            alive.append(at)
            gaps.append(alive[-1] - alive[-2])
        process.terminate()
        while heard(systemd)[1] != "STOPPING=1":
            pass
        assert process.wait(300) == 0


WITHOUT_RIGHTS = """
set -eu
mount --make-rprivate /
mkdir -p "$1/opt"
mount --bind "$2" "$1/opt"
mount -o remount,bind,ro "$1/opt"
mount --bind "$1/data" "$1/data"
mount -o remount,bind,ro /
mount -t tmpfs -o ro none /dev/shm
mount -t proc -o subset=pid,hidepid=invisible proc /proc
cd "$1"
export PYTHONPATH="$1/opt" PYTHONDONTWRITEBYTECODE=1 HOME=/nonexistent
! setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs touch "$1/opt/x" "$1/x" /tmp/tanflow-x 2>/dev/null
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
    "$1/opt/$3" -P -m tanflow run -c "$1/gateway.yaml"
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that others may look into, as pytest's own may not be."""
    folder = Path(tempfile.mkdtemp(prefix="tanflow-nobody-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_it_runs_as_nobody_on_a_read_only_root(place: Path) -> None:
    """As the unit has it: no rights, a machine that is read-only but for the data directory, only its own /proc."""
    port, data, said = free_port(), place / "data", place / "said"
    data.mkdir(mode=0o700)
    (place / "gateway.yaml").write_text(PLANT.replace("DATA", str(data)).replace("PORT", str(port)))
    python = Path(sys.executable).relative_to(ROOT)
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
        command = ["unshare", "--mount", "sh", "-c", WITHOUT_RIGHTS, "sh", str(place), str(ROOT), str(python)]
    else:
        command = [*TANFLOW, "run", "-c", str(place / "gateway.yaml")]  # unprivileged already, as its tests are
    with started(command, said) as process:
        until_it_answers(process, f"http://127.0.0.1:{port}/api/health", said)
        status = Path(f"/proc/{process.pid}/status").read_text()
        until_sync(lambda: (data / "log.db-wal").exists(), 300, "the log")
        owner = (data / "log.db").stat()
    assert process.returncode == 0, said.read_text()
    assert (owner.st_uid != 0, owner.st_mode & 0o777) == (True, 0o600)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^Uid:\s+(?!0\b)", status, re.MULTILINE)
    if os.geteuid() == 0:
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert "Traceback" not in said.read_text()
