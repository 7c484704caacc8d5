"""`tanflow meters …`: the meter register as it stands on a day, what is due, and exchanges booked in the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from carbon.books import Books
from carbon.entries import MeterVersion
from carbon.exchange import exchanges
from carbon.meters import meter_steps
from config.errors import GatewayError
from config.explain import nearest
from config.load import Loaded, load
from config.meters import Meter, MeterEvent, bypasses, calibrations_due, on_day
from tanflow.commands.options import ConfigFile, DataFolder, day, plain_table
from tanflow.exchanges import settle_all

app = typer.Typer(no_args_is_help=True, help="The meter register: what measures, how surely, and what is due.")
out = Console(highlight=False, soft_wrap=True)

On = Annotated[str, typer.Option("--on", help="Day to look from, e.g. 2026-01-31; default: today at the site.")]
Name = Annotated[str, typer.Argument(help="The meter, as it is called under accounting.meters.")]


@app.command("list")
def list_(config: ConfigFile = Path("gateway.yaml"), on: On = "") -> None:
    """List the meters as they stand on a day."""
    loaded = load(config)
    today, register = _day(on, loaded), loaded.gateway.accounting.meters
    if not register:
        out.print("no meter is registered; docs/meters.md says what to write under accounting.meters")
        return
    due = {calibration.meter: calibration for calibration in calibrations_due(register, today)}
    table = plain_table("meter", "reads", "serial", "class", "ct", "pt", "± %", "calibrated", "due", "state")
    for name, meter in register.items():
        now = on_day(meter, today)
        version = _versions(name, meter, loaded, today)[-1][1]
        past = [b.on for b, end in bypasses(meter) if b.on <= today and (end is None or today < end)]
        state = f"bypassed since {past[0]}" if past else ""
        if name in due:
            late = "overdue" if due[name].days < 0 else f"due in {due[name].days} days"
            state = f"{state}, {late}" if state else late
        table.add_row(
            *map(Text, (name, meter.device or "by hand", now.serial, f"{now.accuracy:g}", *_transformers(now))),
            f"{100 * version.uncertainty:.2f}", version.calibrated_on, version.due, state or "in order",
        )  # fmt: skip
    out.print(table)


@app.command()
def show(name: Name, config: ConfigFile = Path("gateway.yaml")) -> None:
    """Show a meter's whole life: its versions, as entries of the account name them, and what made each."""
    loaded = load(config)
    meter = _named(loaded, name)
    said = (meter.make, meter.model, f"class {meter.accuracy:g}", meter.location, f"shows {meter.shows} values")
    out.print(f"{name}: {meter.device or 'read by hand'}; {', '.join(filter(None, said))}", markup=False)
    table = plain_table("version", "from", "by", "serial", "ratio", "± %", "calibrated", "due", "what was said")
    for start, version, event in _versions(name, meter, loaded, date.max):
        table.add_row(
            str(version.number), start, event.type if event else "as described", Text(version.serial),
            f"{version.ratio:g}", f"{100 * version.uncertainty:.2f}", version.calibrated_on, version.due,
            Text(_said(event)),
        )  # fmt: skip
    out.print(table)


@app.command()
def due(config: ConfigFile = Path("gateway.yaml"), on: On = "") -> None:
    """Tell which calibrations are overdue or due within 60 days; exit 1 if any is overdue."""
    loaded = load(config)
    found = calibrations_due(loaded.gateway.accounting.meters, _day(on, loaded))
    for calibration in sorted(found, key=lambda c: c.days):
        out.print(str(calibration), markup=False)
    if not found:
        out.print("no calibration is due within 60 days")
    if any(calibration.days < 0 for calibration in found):
        raise typer.Exit(1)


@app.command()
def settle(name: Name, config: ConfigFile = Path("gateway.yaml"), data: DataFolder = None) -> None:
    """Book the hours of a meter's exchanges by its final and initial indexes; a gateway does it by itself too."""
    loaded = load(config)
    _named(loaded, name)
    base = loaded.path.parent
    books = Books.of(loaded.gateway, loaded.templates, base)
    chosen = [exchange for exchange in exchanges(books) if exchange.meter == name]
    if not chosen:
        raise GatewayError(f"no swap of meter '{name}' is declared that the gateway could have seen")
    states = []
    for outcome in settle_all(books, data or base / loaded.gateway.data.dir, chosen):
        out.print(f"{outcome.exchange.text}: {outcome.state}{f': {outcome.why}' if outcome.why else ''}", markup=False)
        states.append(outcome.state)
    if not {"settled", "settled before"}.issuperset(states):
        raise typer.Exit(1)


def _named(loaded: Loaded, name: str) -> Meter:
    register: Mapping[str, Meter] = loaded.gateway.accounting.meters
    if name not in register:
        raise GatewayError(f"there is no meter '{name}' under accounting.meters{nearest(name, register)}")
    return register[name]


def _versions(name: str, meter: Meter, loaded: Loaded, upto: date) -> list[tuple[str, MeterVersion, MeterEvent | None]]:
    """Return (first day, version, event that made it) up to a day."""
    versions = meter_steps(name, meter, ZoneInfo(loaded.gateway.site.zone)).versions
    events = (None, *meter.events)
    pairs = zip(versions, events, strict=True)
    return [(str(e.on) if e else "", v, e) for v, e in pairs if e is None or e.on <= upto]


def _transformers(meter: Meter) -> tuple[str, str]:
    ct, pt = (t.ratio if t else "" for t in (meter.ct, meter.pt))
    return ct, pt


def _said(event: MeterEvent | None) -> str:
    if event is None:
        return ""
    indexes = f"final index {event.final_index}, initial index {event.initial_index}" if event.type == "swap" else ""
    return ", ".join(filter(None, (indexes, event.certificate, event.reason, f"by {event.by}" if event.by else "")))


def _day(text: str, loaded: Loaded) -> date:
    if not text:
        return datetime.now(ZoneInfo(loaded.gateway.site.zone)).date()
    return day(text)
