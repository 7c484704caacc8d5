"""Parameters of /api/cost → what the electricity of a month costs by the tariff, as the ledger stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from starlette.datastructures import QueryParams

from carbon.books import Books
from carbon.ledger import Ledger
from carbon.money.billing import month_cost
from config.errors import ConfigError, Rejected
from tanflow.web.parameters import only


def parse(given: QueryParams, today: date) -> str:
    """Return the month asked for, the one of `today` where none is; raises Rejected for other parameters."""
    only(given, "month")
    return given.get("month", f"{today:%Y-%m}")


def answer(folder: Path, books: Books, month: str) -> dict[str, Any]:
    """Return the bills as JSON-ready data; raises Rejected for what is no month and where there is no tariff."""
    try:
        with Ledger.open(folder) as ledger:
            return month_cost(books, ledger, month).to_json()
    except ConfigError as error:  # the tariff's file was changed since the gateway began
        raise Rejected(str(error)) from None
