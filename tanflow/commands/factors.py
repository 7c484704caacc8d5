"""`tanflow factors …`: what is known of a region or fuel and who says so; a user's own tables checked and taken in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from config.errors import ConfigError, GatewayError, Problem
from config.explain import nearest
from config.factor_series import FactorSeries, read_series
from config.factor_tables import KINDS, GridRow, is_grid, nearest_regions, read_table, shipped
from config.fuels import FuelRow, biogenic_kg, fuels, kg_by_gas
from config.gwp import GwpRow, Set, gwp_rows
from config.load import load
from config.sourced import Sourced, user_rows
from tanflow.commands.options import ConfigFile

app = typer.Typer(no_args_is_help=True, help="Emission factors: what is known, and who says so.")
out = Console(highlight=False)
_FOLDER: Final = "factors"  # beside the configuration

Config = Annotated[Path | None, typer.Option("-c", "--config", help="Also show what this configuration's tables add.")]


@app.command("list")
def list_(config: Config = None) -> None:
    """List the publishers of grid factors and the sets of fuel factors."""
    tables = _tables(config)
    table = _table("kind", "regions", "years", "publisher")
    rows = sorted(_grid(tables), key=lambda r: (KINDS.index(r.kind), r.publisher))
    for (kind, publisher), group in groupby(rows, key=lambda r: (r.kind, r.publisher)):
        found = list(group)
        table.add_row(kind, _some({r.region for r in found}, 2), _years(found), publisher)
    out.print("grid factors", table, "", sep="\n")
    table = _table("set", "fuels", "year", "publisher")
    for name, known in groupby(sorted(fuels(tables), key=lambda r: r.set), key=lambda r: r.set):
        of = list(known)
        table.add_row(name, _some({r.fuel for r in of}, 2), _years(of), of[0].publisher)
    out.print("fuel factors", table, "", sep="\n")
    out.print("potentials: AR4, AR5, AR6 of " + _some({species for species, _ in gwp_rows()}, 9))


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="A region (CN-GD), a fuel (diesel) or a gas (R410A).")],
    config: Config = None,
    gwp: Annotated[Set, typer.Option(help="Potentials that CH₄ and N₂O are multiplied by.")] = "AR5",
) -> None:
    """Show every factor of a region, a fuel or a gas, with its year and its source."""
    tables, wanted = _tables(config), what.casefold()
    grids = _of_region(list(_grid(tables)), wanted)
    burnt = [row for row in fuels(tables) if row.fuel.casefold() == wanted]
    gases = [row for row in gwp_rows().values() if row.species.casefold() == wanted.replace("-", "")]
    series = [one for one in _series(config) if one.region.casefold() == wanted]
    if not (grids or burnt or gases or series):
        raise GatewayError(_unknown(what, tables))
    for kind in KINDS:
        _show_grid([row for row in grids if row.kind == kind])
    for one in series:
        _show_series(one)
    if burnt:
        _show_fuel(burnt, gwp)
    if gases:
        _show_gas(gases)


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Tables, CSV or YAML.")]) -> None:
    """Check tables of your own: all mistakes with their lines; exit 2 if there are any."""
    problems: list[Problem] = []
    for file in files:
        try:
            out.print(f"{file}: {_amount(file)}", soft_wrap=True, markup=False)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A table, CSV or YAML.")],
    config: ConfigFile = Path("gateway.yaml"),
) -> None:
    """Check a table, copy it beside the configuration, and say which line to add there."""
    amount = _amount(file)
    if not config.is_file():
        raise ConfigError([Problem(str(config), 1, "gateway", "there is no such file; say which with -c")])
    target = config.parent / _FOLDER / file.name
    if target.exists() and target.read_bytes() != file.read_bytes():
        raise GatewayError(
            f"{target} is already there and differs; give the new table another name, e.g. with its year"
        )
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        part = target.with_name(f".{target.name}.part")
        shutil.copyfile(file, part)
        os.replace(part, target)
    out.print(f"{target}: {amount}", soft_wrap=True, markup=False)
    line = f"factors: {{tables: [{target.relative_to(config.parent).as_posix()}]}}"
    out.print(f"Add to {config}, beside tables already there:\n\n  {line}\n", soft_wrap=True, markup=False)


def _tables(config: Path | None) -> tuple[Path, ...]:
    return load(config).gateway.factors.tables if config else ()


def _series(config: Path | None) -> tuple[FactorSeries, ...]:
    return load(config).gateway.factors.series if config else ()


def _grid(tables: Sequence[Path]) -> Iterator[GridRow]:
    for table in tables:
        if is_grid(table):
            yield from user_rows(GridRow, table)
    yield from shipped()


def _of_region(rows: Sequence[GridRow], wanted: str) -> list[GridRow]:
    """Return the rows of a region by its code, or by its name where only one region is called so."""
    named = {row.region for row in rows if len(wanted) > 3 and wanted in row.region_name.casefold()}
    codes = {row.region for row in rows if row.region.casefold() == wanted} or (named if len(named) == 1 else set())
    return [row for row in rows if row.region in codes]


def _amount(file: Path) -> str:
    """Return what a table holds as a sentence; raises ConfigError with all its mistakes."""
    rows = read_table(file)
    if not rows:
        raise ConfigError([Problem(str(file), 1, "table", "has no rows")])
    names = {row.region for row in rows if isinstance(row, GridRow)}
    names |= {f"{row.set} {row.fuel}" for row in rows if isinstance(row, FuelRow)}
    sort = "grid factors of" if isinstance(rows[0], GridRow) else "fuel factors:"
    return f"{len(rows)} {sort} {_some(names, 9)}"


def _unknown(what: str, tables: Sequence[Path]) -> str:
    hint = nearest(what, {row.fuel for row in fuels(tables)})
    near = dict.fromkeys(code for kind in KINDS for code in nearest_regions(what, kind, tables))
    if near and not hint:
        hint = f"; regions that look like it: {', '.join(list(near)[:6])}"
    return f"nothing is known of '{what}'{hint}; tanflow factors list shows what is"


def _show_grid(rows: Sequence[GridRow]) -> None:
    if not rows:
        return
    sources, table = _Sources(), _table("year", ">kg/kWh", "gas", "from", "to", "published", "source")
    for row in sorted(rows, key=lambda r: (r.publisher, r.valid_from)):
        said = f"{row.value:.6g}" + (f" ±{row.uncertainty:.0%}" if row.uncertainty else "")
        period = str(row.valid_from), str(row.valid_to)
        table.add_row(str(row.data_year), said, row.gas, *period, row.published_on or "unknown", sources.mark(row))
    sources.print(f"{rows[0].region} {rows[0].region_name} — {rows[0].kind}", table)


def _show_series(one: FactorSeries) -> None:
    steps = read_series(one)
    first, last = (
        datetime.fromtimestamp(int(t) / 1e9, UTC).strftime("%Y-%m-%dT%H:%MZ") for t in steps.start_ns[[0, -1]]
    )
    out.print(f"{one.region} — {one.kind}, every {one.step}, over its tables", soft_wrap=True, markup=False)
    out.print(f"  {first} to {last}, {len(steps.value)} steps, mean {steps.value.mean():.6g} kg/kWh, {one.gas}")
    about = f"{one.publisher}: {one.publication}. {one.file}"
    out.print(f"  {about}" + (f" ({one.licence})" if one.licence else ""), "", sep="\n", soft_wrap=True, markup=False)


def _show_fuel(rows: Sequence[FuelRow], gwp: Set) -> None:
    columns = ["set", "unit", ">CO2", ">CH4", ">N2O", ">unsplit", ">biogenic", ">kWh net", "source"]
    lines, sources = [], _Sources()
    for row in sorted(rows, key=lambda r: (r.set, r.unit, r.basis)):
        kg = kg_by_gas(row, gwp)
        state = f" {row.reference_celsius:g}°C" if row.reference_celsius is not None else ""
        unit = row.unit + (f" {row.basis}" if row.unit in ("kWh", "GJ") and row.basis != "none" else state)
        numbers = (kg[0], kg[1], kg[2], kg[4], biogenic_kg(row), row.kwh_per_unit or 0.0)
        lines.append([row.set, unit, *(f"{n:.5g}" if n else "" for n in numbers), sources.mark(row)])
    used = [i for i in range(len(columns)) if any(line[i] for line in lines)]
    table = _table(*(columns[i] for i in used))
    for line in lines:
        table.add_row(*(line[i] for i in used))
    sources.print(f"{rows[0].fuel} {rows[0].name_zh} — kg CO2e per unit, {gwp}".replace("  ", " "), table)


def _show_gas(rows: Sequence[GwpRow]) -> None:
    sources, table = _Sources(), _table("report", ">kg CO2e/kg", "source")
    for row in rows:
        table.add_row(row.set, f"{row.value:g}", sources.mark(row))
    sources.print(f"{rows[0].species} — potential over 100 years", table)


def _table(*columns: str) -> Table:
    """Return an empty table; a name that begins with > heads a column of numbers."""
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(columns):
        last = index == len(columns) - 1
        justify: Literal["left", "right"] = "right" if name[0] == ">" else "left"
        table.add_column(name.lstrip(">"), justify=justify, no_wrap=not last, overflow="fold")
    return table


class _Sources:
    """Who says what, each told once under a table and referred to by number."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def mark(self, row: Sourced) -> str:
        about = f"{row.publisher}: {row.publication}. {row.source} (confidence {row.confidence}; {row.licence})"
        return f"[{self._said.setdefault(about, len(self._said) + 1)}]".replace("[", r"\[")

    def print(self, title: str, table: Table) -> None:
        """Print a table and the sources it refers to."""
        out.print(title, soft_wrap=True, markup=False)
        out.print(table)
        for about, number in self._said.items():
            out.print(f"  [{number}] {about}", soft_wrap=not out.is_terminal, markup=False)
        out.print()


def _years(rows: Iterable[Sourced]) -> str:
    years = sorted({row.data_year for row in rows})
    return str(years[0]) if len(years) == 1 else f"{years[0]}–{years[-1]}"


def _some(names: Iterable[str], count: int = 3) -> str:
    """Return the first names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - count} more" if len(ordered) > count else ""
    return ", ".join(ordered[:count]) + more
