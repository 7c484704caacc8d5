"""Names of the fuzz targets, and where their seeds are kept; a target is a function of bytes that must only return."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

NAMES: Final = ("modbus_tcp", "modbus_rtu", "dlt645", "sparkplug", "mqtt", "opcua", "formula", "settings", "papers")
SEEDS: Final = Path(__file__).parents[1] / "data" / "fuzz"
ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / "build" / "fuzz-tools"  # where `make fuzz` puts what only it needs
WORK: Final = ROOT / "build" / "fuzz"


def module(name: str) -> ModuleType:
    return import_module(f"tests.fuzz.{name}")


def target(name: str) -> Callable[[bytes], None]:
    found: Callable[[bytes], None] = module(name).target
    return found


def seeds(name: str) -> list[Path]:
    """Return the kept inputs of a target, those of mended faults (crash-…) among them."""
    return sorted((SEEDS / name).iterdir())


def use_tools() -> None:
    """Let this process import the fuzzers; what the gateway itself needs goes first."""
    sys.path.append(str(TOOLS))
