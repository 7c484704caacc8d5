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
from tanflow.commands.options import ConfigFile, DataFolder
from tanflow.last_flows import Now, now

out = Console(highlight=False, soft_wrap=True)
_OFF_M3_MIN: Final = 1e-6
_SAME: Final = 0.05  # % that are shown as 0.1
_NOW, _METERED, _ALL = "now, by facts", "now, metered", "all running"


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
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
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
    """Return the station as its meters show it, and what the same flows take by the facts: like is put beside like.

    Nothing unless every member shows flow and power. One that delivers nothing runs unloaded where its meter shows
    more than half of its unloaded power.
    """
    if len(measured.members) < len(machines):
        return []
    flows: dict[str, float | None] = {name: flow for name, (flow, _) in measured.members.items()}
    total, metered, stated = 0.0, 0.0, 0.0
    for machine in machines:
        flow, power = measured.members[machine.name]
        runs = flow > _OFF_M3_MIN or power > machine.power(0.0) / 2
        total, metered, stated = total + flow, metered + power, stated + (machine.power(flow) if runs else 0.0)
    return [_Column(_NOW, flows, stated, total), _Column(_METERED, flows, metered, total)]


def _all(machines: Sequence[Machine], wanted: float) -> list[_Column]:
    power = together(machines, wanted)
    if power is None:
        return []
    share = wanted / sum(machine.full[0] for machine in machines)
    return [_Column(_ALL, {m.name: share * m.full[0] for m in machines}, power, wanted)]


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
    """Say what the advised choice saves, flow for flow, how well the facts fit the meters, and when these were read."""
    specific = {column.title: column.power_kw / column.flow for column in columns if column.flow > _OFF_M3_MIN}
    for title in (_NOW, _ALL):
        if title in specific:
            less = 100 * (1 - columns[0].power_kw / columns[0].flow / specific[title])
            said = f"{abs(less):.1f} % {'less' if less > 0 else 'more'}" if abs(less) >= _SAME else "as much"
            out.print(
                f"advised takes {said} for each m3 {'than' if abs(less) >= _SAME else 'as'} {title}", markup=False
            )
    if _METERED in specific:
        off = 100 * (specific[_METERED] / specific[_NOW] - 1)
        word = "more" if off > 0 else "less"
        out.print(f"the meters show {abs(off):.1f} % {word} than the facts say of the same flows", markup=False)
    if measured.time_ns:
        at = datetime.fromtimestamp(measured.time_ns // 1_000_000_000, zone)
        known = (
            "" if len(measured.members) == count else f"; only {len(measured.members)} of {count} show flow and power"
        )
        out.print(f"readings of {at:%Y-%m-%d %H:%M} {place}{known}", markup=False)
    out.print("by the machines' facts, at rated pressure; one machine follows the demand, the others run full")
