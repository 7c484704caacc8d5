"""A visit → all findings, what is wrong first; a look that fails is a finding itself and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from config.errors import GatewayError
from tanflow.doctor.certificates import certificates, secrets
from tanflow.doctor.connections import connections, last_readings
from tanflow.doctor.place import place
from tanflow.doctor.process import clock, ports, process
from tanflow.doctor.records import behind, letters, sound, unproven
from tanflow.doctor.sinks import sinks
from tanflow.doctor.visit import Finding, Visit


def examine(visit: Visit, *, thorough: bool = False) -> list[Finding]:
    """Return everything that is found, what is wrong before what is only worth knowing."""
    looks: list[tuple[str, Callable[[Visit], Iterator[Finding]]]] = [
        ("process", process), ("data directory", place), ("records", partial(sound, thorough=thorough)),
        ("clock", clock), ("ports", ports), ("connections", connections), ("sinks", sinks), ("history", behind),
        ("dead letters", letters), ("certificates", certificates), ("secrets", secrets), ("commissioning", unproven),
    ]  # fmt: skip
    found = [finding for about, look in looks for finding in _safely(about, look, visit)]
    found += _said(visit, found)
    return sorted(found, key=lambda f: not f.wrong)


def facts(visit: Visit) -> dict[str, Any]:
    """Return what a healthy report says too: the process, the log's end, the last reading of each connection."""
    return {
        "process": visit.process,
        "position": visit.reader.last_position() if visit.reader else 0,
        "last_reading_ns": last_readings(visit),
        "state": (visit.health or {}).get("state"),
    }


def _safely(about: str, look: Callable[[Visit], Iterator[Finding]], visit: Visit) -> Iterator[Finding]:
    try:
        yield from look(visit)
    except (GatewayError, OSError, ValueError) as error:
        yield Finding(about, f"this could not be looked at: {error}", "run the doctor as the gateway's user")
    except Exception as error:  # noqa: BLE001  what is damaged enough breaks any look; the others are worth the more
        yield Finding(
            about, f"looking at it failed ({type(error).__name__}): {error}", "restore a backup, if it is damaged"
        )


def _said(visit: Visit, found: list[Finding]) -> Iterator[Finding]:
    """Yield what the running gateway says of itself beyond what was found: its health is asked, not judged anew."""
    known = {f.about.partition(" ")[2] for f in found} | {f.about for f in found}
    for reason in (visit.health or {}).get("reasons", ()):
        component = reason.partition(":")[0].split(" ")[0]
        if component.partition(".")[2] not in known and component not in known and not _told(reason, found):
            yield Finding("gateway", reason, "the page and its log tell more")


def _told(reason: str, found: list[Finding]) -> bool:
    return any(reason in f.what or f.what in reason for f in found)
