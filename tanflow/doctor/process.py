"""The process: whether it runs and answers, its limits; the clock; the port of its page; its serial ports."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.clock import BACK_NS, FORWARD_NS, SECOND_NS
from pipeline.trust import synchronized
from tanflow.doctor.visit import Finding, Visit
from tanflow.doctor.words import megabytes, span
from tanflow.instants import at

_ABOUT: Final = "process"
_SILENT_S: Final = 15.0  # it commits a tick every second
_NEAR: Final = 0.9  # of a limit
_JUMP_S: Final = 60.0  # the gateway's clock takes over at once what is more
_OFF_S: Final = 1.0


def process(visit: Visit) -> Iterator[Finding]:
    """Yield whether a gateway runs, answers, and has what it needs."""
    if visit.process is None:
        last = visit.reader.last_received_ns() if visit.reader else 0
        do = f"journalctl -u tanflow says why it ended; start it: tanflow run -c {visit.loaded.path}"
        yield Finding(_ABOUT, "no gateway runs on this data directory: nothing is read", do, last or None)
        return
    state = _status(visit.process).get("State", "?")[:1]
    if state == "T":
        words = f"process {visit.process} is stopped: it reads nothing and answers nobody"
        yield Finding(_ABOUT, words, f"kill -CONT {visit.process}", _last_ns(visit) or None)
    elif (silent := _silent_s(visit)) > _SILENT_S:
        words = f"process {visit.process} is there but has committed nothing for {span(silent)}"
        do = f"look at its log; is the disk well? then: kill {visit.process} (a service starts it again)"
        yield Finding(_ABOUT, words, do, _last_ns(visit) or None)
    elif visit.health is None and visit.silent:
        words = f"process {visit.process} works, but its API does not answer the doctor: {visit.silent}"
        yield Finding("page", words, "is api.port taken by another program? its log says what is wrong")
    yield from _limits(visit.process)
    if "WATCHDOG_USEC" not in _environment(visit.process):
        words = "no watchdog looks after it: a gateway that hangs stays so"
        yield Finding(_ABOUT, words, "run it as a service with WatchdogSec= (docs/deployment.md)", wrong=False)


def _last_ns(visit: Visit) -> int:
    return visit.reader.last_received_ns() if visit.reader else 0


def _silent_s(visit: Visit) -> float:
    last = _last_ns(visit)
    held = visit.reader is not None and None in visit.reader.boots.values()  # its own stamps say nothing yet
    return (visit.now_ns - last) / SECOND_NS if last and not held else 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _status(process: int) -> dict[str, str]:
    lines = (line.partition(":") for line in _text(Path(f"/proc/{process}/status")).splitlines())
    return {name: value.strip() for name, _, value in lines}


def _environment(process: int) -> str:
    return _text(Path(f"/proc/{process}/environ"))


def _limits(process: int) -> Iterator[Finding]:
    root = Path(f"/proc/{process}")
    allowed = re.search(r"Max open files\s+(\d+)", _text(root / "limits"))
    try:
        files = len(os.listdir(root / "fd"))
    except OSError:
        files = 0
    if allowed and files > _NEAR * int(allowed[1]):
        words = f"{files} of {allowed[1]} file descriptors are in use: new connections will fail"
        yield Finding(_ABOUT, words, "give it more: LimitNOFILE= of the service, or ulimit -n")
    used = int(_status(process).get("VmRSS", "0 kB").split()[0]) * 1024
    most = _memory_max(process)
    if most and used > _NEAR * most:
        words = f"it uses {megabytes(used)} of the {megabytes(most)} it may have: the kernel is about to end it"
        yield Finding(_ABOUT, words, "give it more: MemoryMax= of the service")


def _memory_max(process: int) -> int:
    """Return the memory the process may have [bytes]: of its control group, or its address space; 0: no limit."""
    group = next((line[3:] for line in _text(Path(f"/proc/{process}/cgroup")).splitlines() if line[:3] == "0::"), "")
    text = _text(Path(f"/sys/fs/cgroup{group}/memory.max")).strip()
    return int(text) if text.isdigit() else 0


def clock(visit: Visit) -> Iterator[Finding]:
    """Yield what is wrong with the time."""
    reader = visit.reader
    held = [b for b, offset in reader.boots.items() if offset is None] if reader is not None else []
    if held:
        words = "the clock was not set when the gateway started: readings are kept, but nobody gets them until it is"
        do = "set it, or let it follow a time server: timedatectl set-ntp true"
        if visit.process is not None or len(held) > 1:
            yield Finding("clock", words, do)
    elif not synchronized():
        words = "the clock follows no time server: its error is unknown and grows"
        yield Finding("clock", words, "timedatectl set-ntp true; timedatectl status", wrong=False)
    last = _last_ns(visit)
    if last > visit.now_ns + _JUMP_S * SECOND_NS:
        words = f"the clock was set back: the newest reading is of {at(last)}, the machine says {at(visit.now_ns)}"
        yield Finding("clock", words, "if the machine is right wait, or restart the gateway; else set the clock")
    if held:
        return
    said = visit.component("clock")
    if words := said.get("last_error", ""):
        yield Finding("clock", words, wrong=False)  # that it was set while the gateway ran
    off_s = said.get("lag_s") or 0.0
    if _OFF_S < off_s <= _JUMP_S:
        behind, ahead = (span(off_s * SECOND_NS / each_ns) for each_ns in (FORWARD_NS, BACK_NS))
        words = (
            f"the gateway's time is {off_s:.1f} s from the system's clock, which it follows slowly: readings are "
            f"stamped off by that, ever less, for {behind} where the gateway is behind, for {ahead} where it is ahead"
        )
        yield Finding("clock", words, "wait, or restart the gateway: it begins at the system's time", wrong=False)


def ports(visit: Visit) -> Iterator[Finding]:
    """Yield whether page and serial lines could be opened."""
    api = visit.config.api
    if api is not None and api.port and visit.process is None and (why := _taken(api.host, api.port)):
        yield Finding(
            "page", f"port {api.port} {why}", f"ss -ltnp 'sport = :{api.port}' shows whose it is; or api.port"
        )
    for name, connection in visit.config.connections.items():
        line = getattr(connection, "serial", None)
        if line is None or line.port is None:
            continue
        about, port = f"connection {name}", Path(line.port)
        if not port.exists():
            yield Finding(about, f"serial port {port} does not exist", "ls -l /dev/serial/by-id; is it plugged in?")
        elif not os.access(port, os.R_OK | os.W_OK):
            do = "usermod -aG dialout USER, or SupplementaryGroups=dialout of the service"
            yield Finding(about, f"serial port {port} may not be opened by this user", do)


def _taken(host: str, port: int) -> str:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "is taken by another program: the page cannot open"
        return f"of {host} cannot be listened on: {error.strerror or error}"
    return ""
