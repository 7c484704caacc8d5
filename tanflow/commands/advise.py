"""`tanflow advise`: which compressors of a station should run for a flow, and what that saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from config.errors import GatewayError
from config.explain import nearest
from config.load import load
from config.model import Asset, Gateway
from pipeline.dispatch import Choice, Machine, best, together
from pipeline.station import station as machines_of
from tanflow.last_flows import Now, now

out = Console(highlight=False, soft_wrap=True)
_OFF_M3_MIN: Final = 1e-6


class _Column(NamedTuple):
    """One way to run the station: flow of each machine [m³/min], None where nothing is known, and the power [kW]."""

    title: str
    flows: Mapping[str, float | None]
    power_kw: float
    flow: float


def advise(
    station: Annotated[str, typer.Argument(help="An asset of type compressor_station.")],
    flow: Annotated[
        float | None, typer.Option(help="Free air wanted [m3/min]; default: the station's last reading.", min=0.001)
    ] = None,
    config: Annotated[Path, typer.Option("-c", "--config", help="The gateway's configuration.")] = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option("--data", help="Data directory; default: the configuration's.")] = None,
) -> None:
    """Show which compressors of a station should run for a flow: those that deliver it with the least power."""
    loaded = load(config)
    assets = _assets(loaded.gateway, station)
    machines, assumed = machines_of(assets, station)
    measured = now(loaded, data or loaded.path.parent / loaded.gateway.data.dir, station)
    wanted = flow if flow is not None else measured.flow
    if wanted is None:
        raise GatewayError(f"the log holds no recent flow of '{station}' and its members; say it: --flow 25 (m3/min)")
    if wanted <= _OFF_M3_MIN:
        raise GatewayError(f"no air flows at '{station}' now: none of its machines needs to run; or say a --flow")
    choice = best(machines, wanted)
    if choice is None:
        most = sum(machine.full[0] for machine in machines)
        raise GatewayError(f"{wanted:g} m3/min are more than all machines of '{station}' deliver: {most:g}")
    advised = _Column("advised", _flows(machines, choice), choice.power_kw, wanted)
    columns = [advised, *_present(machines, measured), *_all(machines, wanted)]
    _print(machines, columns, f"{station}: {wanted:.1f} m3/min, {'asked for' if flow is not None else 'last reading'}")
    _remarks(columns, measured, len(machines), ZoneInfo(loaded.gateway.site.zone), loaded.gateway.site.zone)
    for sentence in assumed:
        out.print(sentence, markup=False, style="yellow")


def _assets(gateway: Gateway, station: str) -> dict[str, Asset]:
    assets = {name: asset for area in gateway.areas.values() for name, asset in area.assets.items()}
    if station not in assets:
        raise GatewayError(f"there is no asset '{station}'{nearest(station, assets)}")
    return assets


def _flows(machines: Sequence[Machine], choice: Choice) -> dict[str, float | None]:
    """Return what each machine delivers: those that run full, and the one that follows with the rest."""
    full = {machine.name: machine.full[0] for machine in machines if machine.name in choice.full}
    trim = {choice.trim: choice.flow_m3_min - sum(full.values())} if choice.trim else {}
    return {machine.name: (full | trim).get(machine.name, 0.0) for machine in machines}


def _present(machines: Sequence[Machine], measured: Now) -> list[_Column]:
    """Return the station as its meters show it; nothing unless every member shows flow and power."""
    if len(measured.members) < len(machines):
        return []
    flows: dict[str, float | None] = {name: flow for name, (flow, _) in measured.members.items()}
    power = sum(power for _, power in measured.members.values())
    return [_Column("measured now", flows, power, sum(flow for flow, _ in measured.members.values()))]


def _all(machines: Sequence[Machine], wanted: float) -> list[_Column]:
    power = together(machines, wanted)
    if power is None:
        return []
    share = wanted / sum(machine.full[0] for machine in machines)
    return [_Column("all running", {m.name: share * m.full[0] for m in machines}, power, wanted)]


def _print(machines: Sequence[Machine], columns: Sequence[_Column], title: str) -> None:
    out.print(title, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("machine", overflow="fold")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for machine in machines:
        table.add_row(machine.name, *(_load(column.flows.get(machine.name), machine) for column in columns))
    table.add_row("m3/min", *(f"{column.flow:.1f}" for column in columns))
    table.add_row("kW", *(f"{column.power_kw:.1f}" for column in columns))
    table.add_row("kW/(m3/min)", *(f"{c.power_kw / c.flow:.2f}" if c.flow > _OFF_M3_MIN else "-" for c in columns))
    out.print(table)


def _load(flow: float | None, machine: Machine) -> str:
    if flow is None or flow <= _OFF_M3_MIN:
        return "-"
    return f"{flow:.1f} ({100 * flow / machine.full[0]:.0f} %)"


def _remarks(columns: Sequence[_Column], measured: Now, count: int, zone: ZoneInfo, place: str) -> None:
    """Say what the advised choice takes less than each of the others, flow for flow, and of when the readings are."""
    advised = columns[0]
    for other in columns[1:]:
        if other.flow > _OFF_M3_MIN:
            less = 100 * (1 - advised.power_kw / advised.flow / (other.power_kw / other.flow))
            word = "less" if less >= 0 else "more"
            out.print(f"advised takes {abs(less):.1f} % {word} for each m3 than {other.title}", markup=False)
    if measured.time_ns:
        at = datetime.fromtimestamp(measured.time_ns // 1_000_000_000, zone)
        known = (
            "" if len(measured.members) == count else f"; only {len(measured.members)} of {count} show flow and power"
        )
        out.print(f"readings of {at:%Y-%m-%d %H:%M} {place}{known}", markup=False)
    out.print("by the machines' facts, at rated pressure; one machine follows the demand, the others run full")
