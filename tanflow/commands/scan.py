"""`tanflow scan URL`: which Modbus units answer behind a host or on a serial port, having said what it will ask."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console

from collectors.modbus_ask import asker
from config.errors import GatewayError, Rejected
from tanflow.commands.options import meant, plain_table
from tanflow.commissioning.addresses import Asked, nothing_left, parse
from tanflow.commissioning.pasted import yaml_of
from tanflow.commissioning.scanning import Found, longest_s, units
from tanflow.commissioning.scanning import scan as scan_units

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_TOLD_EVERY: Final = 25  # units, where progress cannot be written over


def scan(
    url: Annotated[str, typer.Argument(help="e.g. 'modbus://192.168.1.20:502?units=1-247' or modbus:///dev/ttyUSB0")],
    timeout: Annotated[float, typer.Option(help="How long each unit may take [s].", min=0.05, max=30)] = 0.5,
    pause: Annotated[float, typer.Option(help="Rest between two requests [s].", min=0.02, max=60)] = 0.1,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Find the units that answer: each is asked for one register, once, and nothing is ever written."""
    with meant():
        asked, wanted = _wanted(url)
    _announce(asked, wanted, timeout, pause)
    _agreed(yes)
    look = _Look(asked, wanted, timeout, pause)
    stopped = look.run()
    if as_json:
        print(orjson.dumps(look.told(stopped), option=orjson.OPT_INDENT_2).decode())
    else:
        look.show()
    if stopped:
        raise GatewayError(f"{stopped}; {look.asked} of {len(wanted)} units were asked")
    if not look.found:
        raise typer.Exit(1)


def _wanted(url: str) -> tuple[Asked, list[int]]:
    asked = parse(url)
    if not asked.scheme.startswith("modbus"):
        raise Rejected(
            "scan looks for Modbus units: modbus://host:502, modbus+rtu://host:port or modbus:///dev/ttyUSB0"
        )
    options = dict(asked.options)
    if asked.unit is not None and "units" in options:
        raise Rejected("say either one unit (/7) or several (?units=1-40), not both")
    wanted = options.pop("units", "1-247" if asked.unit is None else str(asked.unit))
    nothing_left(options, ("units",))
    return asked, units(wanted, on_line=asked.way.rtu)


def _announce(asked: Asked, wanted: list[int], timeout_s: float, pause_s: float) -> None:
    most = longest_s(len(wanted), timeout_s, pause_s)
    long = f"{most / 60:.0f} min" if most >= 120 else f"{most:.0f} s"
    many = f"{len(wanted)} units" if len(wanted) > 1 else f"unit {wanted[0]}"
    err.print(f"asks {many} on {asked.way.name} for holding register 0 (function 3, which only reads),", markup=False)
    err.print(f"once each, one at a time, at most {1 / pause_s:.3g} a second; takes at most {long}", markup=False)
    if asked.way.caution:
        err.print(asked.way.caution, markup=False)


def _agreed(yes: bool) -> None:
    """Ask whether to begin; typer.BadParameter where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask whether to begin; say --yes")
    if not typer.confirm("begin?", default=False, err=True):
        raise typer.Exit(0)


@dataclass(slots=True)
class _Look:
    """A scan under way and what it has found, which is kept when it is stopped."""

    of: Asked
    wanted: list[int]
    timeout_s: float
    pause_s: float
    asked: int = 0
    found: list[Found] = field(default_factory=list)

    def run(self) -> str:
        """Ask all units; return why it ended before, or ""."""
        try:
            asyncio.run(self._all())
        except KeyboardInterrupt:
            return "stopped"
        except GatewayError as error:
            if not self.asked:
                raise
            return str(error)
        finally:
            if sys.stderr.isatty():
                err.print()
        return ""

    async def _all(self) -> None:
        way = self.of.way
        async with (
            asker(way.host, way.port, way.serial, self.timeout_s, rtu=way.rtu) as asks,
            aclosing(scan_units(asks, self.wanted, self.pause_s)) as answers,
        ):
            async for one in answers:
                self.asked += 1
                if one.responds:
                    self.found.append(one)
                self._progress(one.unit)

    def _progress(self, unit: int) -> None:
        said = f"unit {unit}: {self.asked} of {len(self.wanted)} asked, {len(self.found)} answer"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{said}  ")
            sys.stderr.flush()
        elif self.asked % _TOLD_EVERY == 0 or self.asked == len(self.wanted):
            err.print(said, markup=False)

    def show(self) -> None:
        """Print the units as a table, and the devices of a configuration."""
        if not self.found:
            out.print("no unit answers; baud rate, parity and wiring on a line, or another port, are the usual reasons")
            return
        table = plain_table("unit", "address", "answered", "in")
        for one in self.found:
            address = self.of.way.address(one.unit)
            table.add_row(str(one.unit), address, one.words, f"{1000 * one.answer.took_s:.0f} ms")
        out.print(table)
        if len(self.found) == len(self.wanted) > 2 and len({one.answer.data for one in self.found}) == 1:
            out.print("all units answer alike: this may be one device that does not look at the unit's number")
        out.print()
        out.print("# a template of config/templates instead of WHICH, or points: as tanflow probe prints them")
        out.print(yaml_of(self._skeleton(), frozenset({"devices"})), end="", markup=False)

    def _skeleton(self) -> dict[str, Any]:
        devices = {
            f"unit_{one.unit}": {"connection": "floor", "address": self.of.way.address(one.unit), "template": "WHICH"}
            for one in self.found
        }
        return {"connections": {"floor": self.of.way.connection()}, "devices": devices}

    def told(self, stopped: str) -> dict[str, Any]:
        """Return what was found as data."""
        rows = [
            {
                "unit": one.unit,
                "address": self.of.way.address(one.unit),
                "answered": one.words,
                "took_s": round(one.answer.took_s, 4),
            }
            for one in self.found
        ]
        return {"units": rows, "asked": self.asked, "of": len(self.wanted), "stopped": stopped or None}
