"""The API of a gateway at work, asked by schemathesis what its own description allows, and what it does not."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tanflow.web.openapi import document
from tests.fuzz import spent
from tests.fuzz.targets import TOOLS, WORK
from tests.tanflow.web import ENERGY, POWER, open_site

# Not whether all that is well-formed is taken: which series, days and devices there are is beyond a description.
_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
_WALL: Final = 50  # times as long on the clock, at most: without a time of its own it ends by itself
_ENDLESS: Final = "/api/stream"
# What there is at the gateway that is asked: without it every answer is that there is no such thing.
_THERE: Final = {
    "series": {"type": "string", "enum": [POWER, ENERGY, f"{POWER},{ENERGY}", "press.power"]},
    "name": {"type": "string", "enum": ["press", "pump", "absent"]},
    "device": {"type": "string", "enum": ["press.meter", "pump.meter", "press.absent"]},
}


def run(seconds: int) -> dict[str, Any]:
    """Ask until that has taken so much CPU [s], and return the figures; what was found lies in build/fuzz/api."""
    place = WORK / "api"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    began = time.monotonic()
    cpu_s = asyncio.run(_asked(place, seconds))
    answers, failures = _read(place / "events.ndjson")
    (place / "found.json").write_text(json.dumps(failures, indent=1))
    operations = sum(len(methods) for path, methods in document()["paths"].items() if path != _ENDLESS)
    return {
        "target": "api",
        "seconds": round(time.monotonic() - began),
        "cpu_seconds": round(cpu_s),
        "executions": sum(answers.values()),
        "edges": operations,
        "answers": dict(sorted(answers.items())),
        "found": len({(failure["label"], failure["name"]) for failure in failures}),
    }


async def _asked(place: Path, seconds: int) -> float:
    with tempfile.TemporaryDirectory(prefix="tanflow-fuzz-") as folder:
        async with open_site(Path(folder)) as site:
            for key in (POWER, ENERGY):
                await site.append(key, [60.0 * n for n in range(30)], [float(n) for n in range(30)])
            described = place / "openapi.json"
            described.write_text(json.dumps(_there()))
            words = [
                *("-m", "schemathesis.cli", "run", str(described), "--url", site.origin),
                *("--max-time", str(_WALL * seconds)),
                *("--checks", ",".join(_CHECKS), "--exclude-path", _ENDLESS, "--request-timeout", "60"),
                *("--report", "ndjson", "--report-ndjson-path", str(place / "events.ndjson"), "--continue-on-failure"),
                *("--suppress-health-check", "all", "--no-shrink"),
            ]
            env = os.environ | {"PYTHONPATH": str(TOOLS)}
            return await asyncio.to_thread(
                spent.run, words, place / "log", signal=signal.SIGINT, limit_s=seconds, cwd=place, env=env
            )


def _there() -> dict[str, Any]:
    """Return the description, naming what there is."""
    said = document()
    for path, methods in said["paths"].items():
        for one in (one for operation in methods.values() for one in operation["parameters"]):
            if one["name"] in _THERE and path not in ("/api/documents", "/api/commissioning/records"):
                one["schema"] = _THERE[one["name"]]
    return said


def _read(events: Path) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Return how many answers of each class of status there were, and every check that failed."""
    answers: Counter[str] = Counter()
    failures = []
    for line in events.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for one in recorder.get("interactions", {}).values():
            status = (one.get("response") or {}).get("status_code", 0)
            answers[f"{status // 100}xx" if status else "none"] += 1
        for checks in recorder.get("checks", {}).values():
            failures += [{"label": recorder["label"], **check} for check in checks if check["status"] != "success"]
    return answers, failures
