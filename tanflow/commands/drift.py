"""`tanflow drift`: how much more energy an asset takes for its production than it did by its own baseline."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from carbon.drift import Days, Drift, baseline
from carbon.drift import drift as drifted
from carbon.ledger import Ledger
from carbon.streams import place
from config.errors import GatewayError
from config.explain import nearest
from config.load import load
from config.model import Gateway
from pipeline.baseline import Baseline
from tanflow.commands.options import ConfigFile, DataFolder, day

out = Console(highlight=False, soft_wrap=True)
_BY_DAY: Final = 31  # up to so many days each has a row; beyond that each month


def drift(
    asset: Annotated[str, typer.Argument(help="The asset, e.g. furnace-1.")],
    baseline_from: Annotated[str, typer.Option(help="First day of the baseline, e.g. 2025-01-01.")],
    baseline_to: Annotated[str, typer.Option(help="Day after its last one, e.g. 2025-04-01.")],
    start: Annotated[str, typer.Option("--from", help="First day to compare; default: --baseline-to.")] = "",
    end: Annotated[str, typer.Option("--to", help="Day after the last one; default: today.")] = "",
    energy: Annotated[str, typer.Option(help="Stream of energy; default: the asset's carrier.")] = "",
    product: Annotated[str, typer.Option(help="Stream it depends on; default: the asset's product.")] = "",
    config: ConfigFile = Path("gateway.yaml"),
    data: DataFolder = None,
) -> None:
    """Show how an asset's daily energy drifts from its own baseline of energy over production (least squares)."""
    loaded = load(config)
    kwh, made, zone = *_streams(loaded.gateway, asset, energy, product), ZoneInfo(loaded.gateway.site.zone)
    before = _period(baseline_from, baseline_to, "--baseline-from", "--baseline-to", zone)
    after = _period(start or baseline_to, end, "--from", "--to", zone)
    with Ledger.open(data or loaded.path.parent / loaded.gateway.data.dir) as ledger:
        found = baseline(Days.read(ledger, kwh, made, before, zone))
        result = drifted(found, Days.read(ledger, kwh, made, after, zone))
        unit = next(line.unit for line in ledger.lines.values() if line.stream == made)
    out.print(_of_baseline(found, kwh, unit), markup=False)
    out.print(_table(result))
    for sentence in _told(result):
        out.print(sentence, markup=False)


def _streams(gateway: Gateway, asset: str, energy: str, product: str) -> tuple[str, str]:
    try:
        _, stated = place(gateway, asset)
    except KeyError:
        names = [name for area in gateway.areas.values() for name in area.assets]
        raise GatewayError(f"there is no asset '{asset}'{nearest(asset, names)}") from None
    return energy or f"{asset}.{stated.carrier}", product or f"{asset}.product"


def _period(start: str, end: str, first: str, after: str, zone: ZoneInfo) -> tuple[date, date]:
    days = day(start, first), day(end, after) if end else datetime.now(zone).date()
    if days[0] >= days[1]:
        raise typer.BadParameter(f"{first} must be before {after}")
    return days


def _of_baseline(found: Baseline, stream: str, unit: str) -> str:
    return (
        f"baseline of {stream}, {found.count} days, R² {found.r2:.3f}, scatter {found.sigma_kwh:,.0f} kWh a day:\n"
        f"kWh = {found.idle_kw:,.5g} · hours + {found.slope_kwh:,.5g} · {unit}"
    )


def _table(result: Drift) -> Table:
    """Return a row for each day of a short period, for each month of a longer one."""
    days = result.days
    names = [day.isoformat() if len(days.day) <= _BY_DAY else day.isoformat()[:7] for day in days.day]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("period", "days", "kWh", "expected", "beyond", "%", "CUSUM", "± 2 σ"):
        table.add_column(name, justify="left" if name == "period" else "right", no_wrap=True)
    for name in dict.fromkeys(names):
        rows = np.array([n for n, other in enumerate(names) if other == name])
        actual, expected = float(days.energy[rows].sum()), float(result.expected[rows].sum())
        sums = (f"{value:,.0f}" for value in (actual, expected, actual - expected))
        share = f"{100 * (actual / expected - 1):+.1f}"
        last = rows[-1]
        table.add_row(
            name, str(len(rows)), *sums, share, f"{result.cusum[last]:,.0f}", f"{2 * result.sigma[last]:,.0f}"
        )
    return table


def _told(result: Drift) -> list[str]:
    said = [f"drift: {result.total_kwh:+,.0f} kWh, {100 * result.share:+.1f} % of what the baseline expects"]
    if result.since is None:
        said.append("not significant: the CUSUM ends within 2 σ")
    else:
        said.append(f"significant since {result.since}: from then on the CUSUM stays beyond 2 σ")
    if result.days.left_out:
        said.append(f"left out: {result.days.left_out} days without whole readings of energy and product")
    return said
