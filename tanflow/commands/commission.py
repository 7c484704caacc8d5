"""`tanflow commission POINT --shown …`: a display beside what tanflow reads, kept for good; `list` shows all."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from carbon.papers import evidence
from config.bindings import BoundDevice, bind
from config.errors import Rejected
from config.load import Loaded, load
from pipeline.log.directory import owner
from tanflow.commands import connected
from tanflow.commands.options import ConfigFile, meant, plain_table
from tanflow.commissioning import records
from tanflow.commissioning.records import Comparison, Seen, State
from tanflow.commissioning.seen import newest_in_log

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_STATES: dict[State, str] = {
    "in order": "in order",
    "missing": "no record",
    "differs": "differs",
    "changed": "changed since",
}


def commission(
    point: Annotated[str, typer.Argument(help="asset.point, or list for all points and their records.")],
    shown: Annotated[str, typer.Option(help="What the display shows, with all its digits, e.g. 1234.50.")] = "",
    by: Annotated[str, typer.Option(help="Who compares.")] = "",
    serial: Annotated[str, typer.Option(help="The meter's serial number; default: the meter register's.")] = "",
    ct: Annotated[str, typer.Option(help="Current transformer, e.g. 200/5.")] = "",
    pt: Annotated[str, typer.Option(help="Voltage transformer, e.g. 10000/100.")] = "",
    photo: Annotated[Path | None, typer.Option(help="A picture; its SHA-256 is kept, not the file.")] = None,
    note: Annotated[str, typer.Option(help="What else is to be known.")] = "",
    missing: Annotated[bool, typer.Option("--missing", help="list: only points without a record that holds.")] = False,
    config: ConfigFile = Path("gateway.yaml"),
    data: Annotated[Path | None, typer.Option(help="Data directory; default: the configuration's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the list or the record as JSON.")] = False,
) -> None:
    """Compare a display with what tanflow reads, to one step of its last digit, and keep the record for good."""
    if point != "list" and not shown:
        raise typer.BadParameter("--shown: say what the display shows, e.g. --shown 1234.5 --by NAME")
    loaded = load(config)
    folder = data or loaded.path.parent / loaded.gateway.data.dir
    devices = list(bind(loaded.gateway, loaded.templates))
    if point == "list":
        register = records.Register.of(loaded.gateway, time.time_ns())
        _list(devices, folder, register, missing=missing, as_json=as_json)
        return
    with meant():
        device, name = records.found(devices, point)
        said = records.compared(
            point=point, shown=shown, by=by, serial=serial, ct=ct, pt=pt, note=note, photo=_hash(photo)
        )
        if not by:
            raise Rejected("--by: say who compares")
    seen = _seen(loaded, folder, device, name)
    record, notes = _kept(loaded, folder, said, device, name, seen)
    if as_json:
        print(orjson.dumps(record | {"notes": notes}, option=orjson.OPT_INDENT_2).decode())
    else:
        _tell(record, notes)
    if not record["agrees"]:
        raise typer.Exit(1)


def _hash(photo: Path | None) -> str:
    if photo is None:
        return ""
    try:
        return hashlib.sha256(evidence.read(photo.resolve())).hexdigest()
    except ValueError as error:
        raise Rejected(f"--photo: {error}") from None


def _seen(loaded: Loaded, data: Path, device: BoundDevice, name: str) -> Seen:
    """Return what a running gateway read last; where none runs, the device itself is read once."""
    if owner(data) is not None:
        return newest_in_log(loaded, data, device.asset_name, name, device.points[name])
    samples = connected.read_once(loaded, 20.0, device.key)
    one = next(s for s in samples if s.device.key == device.key and s.name == name)
    if one.why or one.text:
        raise Rejected(f"{device.asset_name}.{name} cannot be compared: {one.why or 'it is text'}")
    return Seen(one.value, time.time_ns())


def _kept(
    loaded: Loaded, data: Path, said: Comparison, device: BoundDevice, name: str, seen: Seen
) -> tuple[dict[str, Any], list[str]]:
    now_ns = time.time_ns()
    said, notes = records.completed(said, records.Register.of(loaded.gateway, now_ns).known(device))
    record = records.document(said, device, name, seen, now_ns)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return record | {"seq": records.keep(data, record)}, notes


def _tell(record: dict[str, Any], notes: list[str]) -> None:
    shown = f"{record['shown']} {record['unit']}"
    beside = f"{record['point']}: the display shows {shown}, tanflow reads {record['read']:.10g}"
    verdict = "they agree" if record["agrees"] else f"they differ by more than {records.digit(record['shown'])}"
    out.print(f"{beside}: {verdict}; recorded as document {record['seq']}", markup=False)
    for note in notes:
        out.print(note, markup=False)
    if not record["agrees"]:
        out.print("was it read at another moment? else scale, unit, type or CT: tanflow probe shows what it could be")


def _list(devices: list[BoundDevice], data: Path, register: records.Register, *, missing: bool, as_json: bool) -> None:
    found = records.states(devices, records.kept(data), register)
    chosen = {name: one for name, one in found.items() if not missing or one[0] != "in order"}
    if as_json:
        told = [{"point": name, "state": state, "record": record} for name, (state, record) in chosen.items()]
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    table = plain_table("point", "state", "display", "tanflow", "serial", "by", "on")
    for name, (state, record) in chosen.items():
        said = _said(record) if record else ("", "", "", "", "")
        table.add_row(*map(Text, (name, _STATES[state], *said)))
    if table.row_count:
        out.print(table)
    open_ = sum(state != "in order" for state, _ in found.values())
    out.print(f"{len(found) - open_} of {len(found)} points have a record that holds")


def _said(record: Any) -> tuple[str, ...]:
    day = time.strftime("%Y-%m-%d", time.gmtime(record["at_ns"] / 1e9))
    shown = f"{record['shown']} {record['unit']}"
    return shown, f"{record['read']:.8g}", record["serial"], record["by"], day
