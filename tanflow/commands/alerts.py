"""`tanflow alerts …`: every alert of a plant with where it comes from; and what they would have done in the past."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson
import typer
import yaml
from pydantic import ValidationError
from rich.console import Console

from carbon.local_time import midnight_ns
from config.alert_checks import check_alerts
from config.alerting import Alert, asset_of
from config.alerts import Rule
from config.bindings import bind
from config.errors import GatewayError
from config.explain import nearest
from config.kpis import Figures
from config.load import Loaded, load
from config.plant_checks import Plant as Checked
from config.type_alerts import origin
from pipeline.alerts.context import Context
from pipeline.alerts.expected import learned_of
from pipeline.alerts.stage import STAGE, Alerts
from pipeline.batch import Batch
from pipeline.compile import compile_plan
from pipeline.log.schema import FILE
from tanflow.commands.alert_words import duration, limit, watched
from tanflow.commands.options import ConfigFile, DataFolder, day, plain_table
from tanflow.dry_run import DryRun, with_new
from tanflow.firings import Firing, Firings, Rate
from tanflow.past import Past

app = typer.Typer(no_args_is_help=True, help="Alerts: all there are, and a dry run over the past.")
out = Console(highlight=False, soft_wrap=True)
_DAY_NS: Final = 86_400 * 10**9

Rules = Annotated[
    list[str] | None, typer.Option("--rule", help="Only this alert, as name or asset.name; may be given several times.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Try another value of one rule, e.g. above=340, without editing.")
]
Format = Annotated[Literal["table", "json"], typer.Option("--format", help="How it is told.")]


@app.command("list")
def list_(
    config: ConfigFile = Path("gateway.yaml"), data: DataFolder = None, rule: Rules = None, format_: Format = "table"
) -> None:
    """Show every alert: what it watches, at what it fires, where it comes from, and what it has learned."""
    loaded = load(config)
    plant = _plant(loaded)
    _known(plant, rule or ())
    folder = _folder(loaded, data)
    states = orjson.loads(Past(folder).state_of(STAGE) or b"{}") if (folder / FILE).exists() else {}
    stage = DryRun.of(plant.config, plant.devices, plant.ids).stage
    learned = dict(_learned(stage, states))
    rows = [_row(plant, alert, learned.get(alert.key, "")) for alert in plant.alerts if _named(alert, rule)]
    if format_ == "json":
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    for row in rows:
        said = f"{row['watches']} {row['fires']}".rstrip() + (f", for {row['hold']}" if row["hold"] else "")
        out.print(f"{row['asset']}.{row['alert']}  {row['kind']}, {row['severity']}", markup=False)
        out.print(f"    {said}  [{row['from']}]", markup=False)
        if row["learned"]:
            out.print(f"    {row['learned']}", markup=False)


@app.command("test")
def dry_run(
    config: ConfigFile = Path("gateway.yaml"), data: DataFolder = None,
    start: Annotated[str, typer.Option("--from", help="First day; default: seven days before --to.")] = "",
    end: Annotated[str, typer.Option("--to", help="Day after the last one; default: now.")] = "",
    rule: Rules = None, set_: Set = None, format_: Format = "table",
) -> None:  # fmt: skip
    """Show when alerts would have fired over the rows that are kept, and what it cost; nothing is written or sent."""
    loaded = load(config)
    plant = _plant(loaded)
    _known(plant, rule or ())
    if set_:
        plant = _changed(loaded, plant, rule or (), set_)
    first, last = _period(start, end, plant.zone)
    past = Past(_folder(loaded, data))
    run = DryRun.of(plant.config, plant.devices, with_new(past.ids, plant.ids), lambda alert: _named(alert, rule))
    firings, seen = Firings(first), _Seen(time.time_ns())
    rows = seen.through(past.rows(run.needed, first - _warm_up(run.alerts), last))
    begun = time.perf_counter()
    told = _Printer(format_, firings, plant.zone)
    told.each(firings.through(run.through(rows)))
    last = max(first, min(last, seen.newest_ns))  # what is yet to come is no part of the past
    told.each(firings.end(last))
    told.summary([Rate.of(a, firings.every, first, last) for a in run.alerts], seen.rows, time.perf_counter() - begun)


# ── what is meant ─────────────────────────────────────────────────────────────────────────────────


def _plant(loaded: Loaded) -> Context:
    """Return what a configuration comes to, its series numbered as they are compiled."""
    devices = list(bind(loaded.gateway, loaded.templates))
    specs = compile_plan(loaded.gateway, devices, loaded.path.parent).specs
    return Context.of(loaded.gateway, devices, {spec.key: number for number, spec in enumerate(specs)})


def _folder(loaded: Loaded, data: Path | None) -> Path:
    return data or loaded.path.parent / loaded.gateway.data.dir


def _named(alert: Alert[Rule], names: Sequence[str] | None) -> bool:
    return not names or alert.name in names or f"{alert.asset}.{alert.name}" in names


def _known(plant: Context, names: Iterable[str]) -> None:
    for name in names:
        if not any(_named(alert, [name]) for alert in plant.alerts):
            known = {n for a in plant.alerts for n in (a.name, f"{a.asset}.{a.name}")}
            raise GatewayError(f"there is no alert '{name}'{nearest(name, known)}; tanflow alerts list shows all")


def _changed(loaded: Loaded, plant: Context, names: Sequence[str], given: Iterable[str]) -> Context:
    """Return the plant with other values of one rule; what an asset's type brings becomes a rule of one's own."""
    chosen = [alert for alert in plant.alerts if _named(alert, names)]
    if not names or len(chosen) != 1:
        raise typer.BadParameter(
            "--set tries one rule: name it with --rule, as asset.name where several assets have it"
        )
    (alert,) = chosen
    values = dict(_value(text) for text in given)
    try:
        changed = type(alert.rule).model_validate(alert.rule.model_dump() | values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:1]))
        message = f"--set: {where} {first['msg']}".replace("Value error, ", "")
        raise typer.BadParameter(message) from None
    config = plant.config.model_copy(update={"alerts": {**plant.config.alerts, alert.name: changed}})
    _suits(Checked(config, loaded.templates, loaded.path.parent), plant.figures, alert, changed)
    return Context(config, plant.devices, plant.figures, plant.ids)


def _suits(plant: Checked, found: Figures, alert: Alert[Rule], changed: Rule) -> None:
    """Raise typer.BadParameter where a changed rule names what is not there, or would be another asset's alert."""
    for path, message in check_alerts(plant):
        if path[:2] == ("alerts", alert.name):
            raise typer.BadParameter(f"--set: {message}")
    if (asset := asset_of(plant.gateway, changed, found)) != alert.asset:
        raise typer.BadParameter(f"--set: that would be an alert of '{asset}', not of '{alert.asset}'")


def _value(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"--set: '{text}' is not name=value; write e.g. above=340")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise typer.BadParameter(f"--set: '{value}' is no value; write e.g. above=340") from None


def _period(start: str, end: str, zone: ZoneInfo) -> tuple[int, int]:
    """Return the period [ns UTC]."""
    last = midnight_ns(_day(end, "--to"), zone) if end else time.time_ns()
    before = datetime.fromtimestamp(last / 1e9, zone).date() - timedelta(days=7)
    first = midnight_ns(_day(start, "--from") if start else before, zone)
    if first >= last:
        raise typer.BadParameter("--from must be before --to")
    return first, last


def _day(text: str, option: str) -> date:
    found = day(text, option)
    if not 1971 <= found.year < 2200:
        raise typer.BadParameter(f"{option}: '{text}' is not between the years 1971 and 2200")
    return found


def _warm_up(alerts: Iterable[Alert[Rule]]) -> int:
    """Return how long before the period rows are read, so that what learns knows what it would have known [ns]."""
    days = (getattr(a.rule, "learn_days", 0) or getattr(a.rule, "typical_days", 0) for a in alerts)
    return int(max(days, default=0)) * _DAY_NS + _DAY_NS


@dataclass(slots=True)
class _Seen:
    """How many rows there were, and until when it is known what happened: now, or the newest row of a faster clock."""

    newest_ns: int
    rows: int = 0

    def through(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self.rows += len(batch)
            if len(batch):
                self.newest_ns = max(self.newest_ns, int(batch.time_ns.max()))
            yield batch


# ── what is told ──────────────────────────────────────────────────────────────────────────────────


def _row(plant: Context, alert: Alert[Rule], learned: str) -> dict[str, str]:
    rule = alert.rule
    return {
        "asset": alert.asset,
        "alert": alert.name,
        "kind": rule.type,
        "watches": watched(rule),
        "fires": limit(rule, plant.figures),
        "hold": duration(rule.hold_s),
        "severity": rule.severity,
        "from": origin(plant.config, alert.asset, alert.name),
        "learned": learned,
    }


def _learned(stage: Alerts, states: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key of each alert that learns, and how far it has come."""
    for kind, condition in stage.conditions.items():
        for rule in getattr(condition, "rules", ()):
            yield rule.key, rule.say(learned_of(states, kind, rule.key))


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints firings as they come, and the summary."""

    format: str
    firings: Firings
    zone: ZoneInfo

    def each(self, found: Iterable[Firing]) -> None:
        for one in found:
            if self.format != "json":
                out.print(self._sentence(one), markup=False)

    def _sentence(self, one: Firing) -> str:
        until = self._time(one.until_ns) if one.until_ns else "now"
        cost = "" if math.isnan(one.kwh) else f", {one.kwh:,.0f} kWh"
        beyond = f"{_short(one.value)} beyond {_short(one.limit)}, worst {_short(one.worst)}"
        return f"{self._time(one.since_ns)} … {until}  {one.alert.asset}.{one.alert.name}: {beyond}{cost}"

    def _time(self, ns: int) -> str:
        return f"{datetime.fromtimestamp(ns / 1e9, self.zone):%Y-%m-%d %H:%M}"

    def summary(self, rates: Sequence[Rate], rows: int, seconds: float) -> None:
        if self.format == "json":
            told = {"firings": [*map(_of_firing, self.firings.every)], "rules": [*map(_of_rate, rates)], "rows": rows}
            print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
            return
        table = plain_table("alert", "firings", "a week", "share of time", "kWh")
        for rate in rates:
            kwh = "" if math.isnan(rate.kwh) else f"{rate.kwh:,.0f}"
            name = f"{rate.alert.asset}.{rate.alert.name}"
            table.add_row(name, str(rate.firings), f"{rate.a_week:.1f}", f"{100 * rate.share:.1f} %", kwh)
        out.print(table)
        out.print(f"{rows:,} rows in {seconds:.1f} s", markup=False)


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.4g}"


def _of_firing(one: Firing) -> dict[str, Any]:
    def instant(ns: int) -> str | None:
        return datetime.fromtimestamp(ns / 1e9, UTC).isoformat().replace("+00:00", "Z") if ns else None

    numbers = {"value": one.value, "limit": one.limit, "worst": one.worst, "kwh": one.kwh}
    return {
        "asset": one.alert.asset,
        "alert": one.alert.name,
        "since": instant(one.since_ns),
        "until": instant(one.until_ns),
        **{name: None if math.isnan(value) else value for name, value in numbers.items()},
    }


def _of_rate(rate: Rate) -> dict[str, Any]:
    kwh = None if math.isnan(rate.kwh) else rate.kwh
    about = {"asset": rate.alert.asset, "alert": rate.alert.name}
    return about | {"firings": rate.firings, "a_week": rate.a_week, "share": rate.share, "kwh": kwh}
