"""Where the program comes from: both locks for amd64 and arm64, and a bill of materials that a standard understands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.security.running import ROOT

# Compiled: each has wheels of its own for amd64 and arm64, so its block holds the hashes of many files.
COMPILED = (
    "argon2-cffi-bindings", "cffi", "cryptography", "duckdb", "markupsafe", "numpy", "orjson", "psutil",
    "pydantic-core", "pyyaml", "uvloop", "websockets", "zstandard",
)  # fmt: skip
LOCKS = ("requirements.lock", "requirements-dev.lock")


def blocks(lock: str) -> dict[str, list[str]]:
    """Return the blocks of each name in a lock."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]:
        found.setdefault(block.partition("==")[0], []).append(block)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_compiled_is_locked_for_every_machine(lock: str) -> None:
    """The lock is made without looking at the machine it is made on: the hashes of all files of a version are in it."""
    for name in COMPILED:
        for block in blocks(lock)[name]:
            assert block.count("--hash=sha256:") >= 10, f"{name}: only some machines' files"
    assert "--universal" in (ROOT / "scripts" / "lock").read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_is_locked_for_one_machine_only(lock: str) -> None:
    for name, found in blocks(lock).items():
        for block in found:
            assert "platform_machine" not in block.partition("\\")[0], name


@pytest.fixture(scope="module")
def bill() -> str:
    """The bill of materials as `make sbom` writes it."""
    made = subprocess.run([sys.executable, ROOT / "scripts" / "sbom"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_bill_is_what_the_standard_says(bill: str) -> None:
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    assert wrong is None, str(wrong)


def test_the_bill_holds_the_whole_lock_with_licences_and_no_address(bill: str) -> None:
    found: dict[str, Any] = json.loads(bill)
    parts = {(part["name"], part["version"]) for part in found["components"]}
    pinned = {
        (re.sub(r"[-_.]+", "-", name).lower(), block.split()[0].partition("==")[2])
        for name, several in blocks("requirements.lock").items()
        for block in several
    }
    assert parts <= pinned
    assert {
        name for name, several in blocks("requirements.lock").items() if ";" not in several[0].partition("\\")[0]
    } <= {name for name, _ in parts}
    for part in found["components"]:
        assert part["licenses"], part["name"]
        assert part["properties"], part["name"]
    refs = {part["bom-ref"] for part in found["components"]}
    assert all(set(one.get("dependsOn", ())) <= refs for one in found["dependencies"])
    reached, more = set(), set(found["dependencies"][0]["dependsOn"])
    on = {one["ref"]: set(one.get("dependsOn", ())) for one in found["dependencies"]}
    while more:
        reached |= more
        more = set().union(*(on[ref] for ref in more)) - reached
    assert len(refs - reached) <= len(refs) // 10, f"nothing asks for {sorted(refs - reached)}"
    for word in ("http", "file:"):
        assert word not in bill.replace("http://cyclonedx.org/schema/", ""), "an address"


def test_the_same_lock_gives_the_same_bill(bill: str) -> None:
    again = subprocess.run([sys.executable, ROOT / "scripts" / "sbom"], capture_output=True, text=True, check=True)
    assert again.stdout == bill
