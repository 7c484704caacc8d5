"""Tables of grid factors → the rows of one region, kind and publisher; neither kinds nor publishers ever mix."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, model_validator

from config.errors import ConfigError, Problem
from config.sourced import Sourced, Text, columns, shipped_rows, user_rows

# location_average: all generation of a grid. residual_mix: what is left after certificates and contracts; ex_market:
# China's form of it. fossil: fossil generation alone. marginal: of what is saved or added, for projects. life_cycle:
# with the making of fuels and plants. product_footprint: life cycle as a state publishes it for products.
# ets_reporting: what an emissions trading scheme prescribes.
GridKind = Literal[
    "location_average", "residual_mix", "ex_market", "fossil", "marginal", "life_cycle", "product_footprint",
    "ets_reporting",
]  # fmt: skip
KINDS: Final[tuple[GridKind, ...]] = get_args(GridKind)
HIGHEST: Final = 3.0  # kg/kWh no grid exceeds: a value above it is in another unit
_PREFIX: Final = "grid-"


class GridRow(Sourced):
    """The grid's emission factor [kg/kWh] of a region from the first to the last day it is meant for."""

    region: Text
    region_name: str = ""
    kind: GridKind
    value: Annotated[float, Field(ge=0, le=HIGHEST)]
    unit: Literal["kg/kWh"]
    gas: Literal["co2", "co2e"]
    valid_from: date
    valid_to: date
    uncertainty: Annotated[float, Field(gt=0)] | None = None  # half the 95 % interval, as a share

    @model_validator(mode="after")
    def _ordered(self) -> GridRow:
        if self.valid_from > self.valid_to:
            raise ValueError("valid_from must not be later than valid_to")
        return self


def grid_rows(
    region: str, kind: str, extra_tables: Sequence[Path] = (), publishers: Sequence[str] = ()
) -> tuple[GridRow, ...]:
    """Return the factors of a region by valid_from, all of one publisher; empty when there is none.

    A table of the user's own that knows the region and kind replaces the shipped rows. Of several publishers the
    first in `publishers` is taken. Raises ConfigError for a table that cannot be read and for a choice left open.
    """
    tables = [table for table in extra_tables if is_grid(table)]
    own = [row for table in tables for row in user_rows(GridRow, table) if (row.region, row.kind) == (region, kind)]
    rows = own or shipped_of(region, kind)
    known = sorted({row.publisher for row in rows})
    if len(known) > 1:
        chosen = next((name for name in publishers if name in known), None)
        if chosen is None:
            raise ConfigError([Problem(str(tables[0]) if own else "", 1, region, _choice(region, kind, known))])
        rows = [row for row in rows if row.publisher == chosen]
    return tuple(sorted(rows, key=lambda row: (row.valid_from, row.published_on)))


def _choice(region: str, kind: str, known: Sequence[str]) -> str:
    return (
        f"{kind} of {region} comes from {' and '.join(known)}; publishers must not mix: "
        f"write the one you follow under factors.publishers, e.g. publishers: ['{known[0]}']"
    )


def is_grid(table: Path) -> bool:
    """Return whether a user's table holds grid factors (or else factors of fuels); raises ConfigError."""
    return "fuel" not in columns(table)


def nearest_regions(region: str, kind: str, extra_tables: Sequence[Path] = ()) -> list[str]:
    """Return the regions with factors of that kind whose codes or names look most like `region`, best first."""
    own = (user_rows(GridRow, table) for table in extra_tables if is_grid(table))
    rows: Iterable[GridRow] = itertools.chain(shipped_rows(GridRow, _PREFIX, kind=kind), *own)
    names = {row.region: row.region_name for row in rows if row.kind == kind}
    wanted = region.casefold()
    named = [code for code, name in names.items() if len(wanted) > 2 and wanted in name.casefold()]
    folded = {code.casefold(): code for code in names}
    alike = [folded[code] for code in difflib.get_close_matches(wanted, folded, n=4, cutoff=0.5)]
    country = [code for code in (wanted[:2].upper(),) if code in names]
    return list(dict.fromkeys(named + alike + country))[:5]


@cache
def shipped_of(region: str, kind: str) -> tuple[GridRow, ...]:
    """Return the rows of a region and kind that come with tanflow, of all publishers."""
    return shipped_rows(GridRow, _PREFIX, region=region, kind=kind)


def shipped() -> tuple[GridRow, ...]:
    """Return all grid rows that come with tanflow."""
    return shipped_rows(GridRow, _PREFIX)


def read_table(path: Path) -> tuple[Sourced, ...]:
    """Return the rows of a user's table of either sort; raises ConfigError with file and line of every bad row."""
    from config.fuels import FuelRow  # here: it needs the points' vocabulary, which few readers of tables do

    return user_rows(GridRow, path) if is_grid(path) else user_rows(FuelRow, path)
