"""The API of a gateway at work, asked by schemathesis what its own description allows, and what it does not."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tanflow.web.openapi import document
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
_ENDLESS: Final = "/api/stream"
# What there is at the gateway that is asked: without it every answer is that there is no such thing.
_THERE: Final = {
    "series": {"type": "string", "enum": [POWER, ENERGY, f"{POWER},{ENERGY}", "press.power"]},
    "name": {"type": "string", "enum": ["press", "pump", "absent"]},
    "device": {"type": "string", "enum": ["press.meter", "pump.meter", "press.absent"]},
}


def run(seconds: int) -> dict[str, Any]:
    """Ask for so long, and return the figures of the run; what was found lies in build/fuzz/api."""
    place = WORK / "api"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    asyncio.run(_asked(place, seconds))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answers, failures = _read(place / "events.ndjson")
    (place / "found.json").write_text(json.dumps(failures, indent=1))
    operations = sum(len(methods) for path, methods in document()["paths"].items() if path != _ENDLESS)
    return {
        "target": "api",
        "seconds": round(time.monotonic() - began),
        "cpu_seconds": round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime),
        "executions": sum(answers.values()),
        "edges": operations,
        "answers": dict(sorted(answers.items())),
        "found": len({(failure["label"], failure["name"]) for failure in failures}),
    }


async def _asked(place: Path, seconds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tanflow-fuzz-") as folder:
        async with open_site(Path(folder)) as site:
            for key in (POWER, ENERGY):
                await site.append(key, [60.0 * n for n in range(30)], [float(n) for n in range(30)])
            described = place / "openapi.json"
            described.write_text(json.dumps(_there()))
            words = [
                *("-m", "schemathesis.cli", "run", str(described), "--url", site.origin, "--max-time", str(seconds)),
                *("--checks", ",".join(_CHECKS), "--exclude-path", _ENDLESS, "--request-timeout", "60"),
                *("--report", "ndjson", "--report-ndjson-path", str(place / "events.ndjson"), "--continue-on-failure"),
                *("--suppress-health-check", "all", "--no-shrink"),
            ]
            with (place / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *words,
                    cwd=place,
                    stdout=log,
                    stderr=log,
                    env=os.environ | {"PYTHONPATH": str(TOOLS)},
                )
                await process.wait()


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
