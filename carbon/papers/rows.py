"""One row of a sheet or request → a document of its kind, strictly; every mistake is told with its column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from carbon.factors import refrigerants
from config.explain import nearest
from config.strict import Name, Strict

SITE: Final = "site"  # asset of what belongs to no machine: a tank, the canteen's gas bottles
_NUMBER: Final = re.compile(r"[+-]?(\d{1,15}(\.\d{1,12})?|\.\d{1,12})([eE][+-]?\d{1,2})?", re.ASCII)
_GROUPED: Final = re.compile(r"[+-]?\d+([,'’_ \u00a0\u202f，]\d+)+(\.\d+)?")
_DAY: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", re.ASCII)
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_LONGEST: Final = timedelta(days=366)


def _number(value: Any) -> Decimal:
    text = str(value).strip()
    if _GROUPED.fullmatch(text):
        raise ValueError(f"'{text}' is ambiguous; write it without separators of thousands, decimals after a point")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"'{text[:60]}' is not a number; write e.g. 1250.5")
    return Decimal(text)


def _day(value: Any) -> date:
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    found = _DAY.fullmatch(text)
    try:
        day = date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        raise ValueError(f"'{text}' is not a day of the calendar") from None
    if day is None:
        raise ValueError(f"'{text[:60]}' is not a date; write year-month-day, e.g. 2025-03-31")
    if not 1990 <= day.year <= 2100:
        raise ValueError(f"{text} is not between the years 1990 and 2100")
    return day


def _month(value: Any) -> str:
    text = str(value).strip()
    text = text[:7] if _DAY.fullmatch(text) else text  # a date cell shown as a month holds its first day
    if not _MONTH.fullmatch(text):
        raise ValueError(f"'{text[:60]}' is not a month; write e.g. 2025-03")
    return text


def file_name(text: str) -> str:
    """Return the name of a file in the sheet's own folder, or the hash of one; raises ValueError for a path."""
    if re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        return text
    if not text or text.startswith(".") or re.search(r"[/\\:\x00-\x1f]", text):
        raise ValueError(f"'{text[:60]}' is not a file name; put the file beside the sheet and write its name only")
    return text


Plain = PlainSerializer(lambda number: format(number.normalize(), "f"), return_type=str)
Number = Annotated[Decimal, BeforeValidator(_number), Plain]
Amount = Annotated[Number, Field(ge=0, le=Decimal("1e10"))]
Day = Annotated[date, BeforeValidator(_day)]
Month = Annotated[str, BeforeValidator(_month)]
Words = Annotated[str, StringConstraints(max_length=500)]
Unit = Annotated[str, StringConstraints(min_length=1, max_length=40)]
FileName = Annotated[str, StringConstraints(max_length=200), BeforeValidator(lambda v: file_name(str(v).strip()))]
Stuff = Field(validation_alias=AliasChoices("carrier", "fuel", "species"), max_length=64, pattern=r"^[\w-]+$")


class _Row(Strict):
    """What every document says: of which asset, on which evidence, and which earlier one it corrects."""

    asset: Name = SITE
    document: FileName = ""  # scan or PDF beside the sheet, or sha256:… of a file handed in before
    document_number: Words = ""
    note: Words = ""
    replaces: Annotated[int, Field(ge=1)] | None = None


class _Period(_Row):
    """Something of whole local days, both included."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"ends on {self.last}, before it begins on {self.first}")
        if self.last - self.first >= _LONGEST:
            raise ValueError("is longer than a year; split it")
        return self


class _Quantity(_Period):
    """An amount of something; a gas volume says its reference state."""

    carrier: str = Stuff
    quantity: Amount
    unit: Unit
    celsius: Annotated[Number, Field(gt=-50, lt=100)] | None = None
    kpa: Annotated[Number, Field(gt=50, lt=200)] | None = None


class Delivery(_Quantity):
    """Fuel or energy taken in and used in a period; what a meter counts is not delivered a second time."""

    kind: Literal["delivery"]


class Invoice(_Quantity):
    """What a supplier counted: held against the own meter, never booked."""

    kind: Literal["invoice"]
    uncertainty_pct: Annotated[Number, Field(gt=0, le=50)] | None = None


class Production(_Period):
    """What was made in a period."""

    kind: Literal["production"]
    carrier: str = Field("product", validation_alias="carrier", pattern=r"^product$")
    quantity: Amount
    unit: Unit = "t"


class Stock(_Period):
    """Bottled gas or refrigerant [kg] counted at both ends of a period; what the balance lacks has escaped."""

    kind: Literal["stock"]
    carrier: Annotated[str, Stuff, AfterValidator(refrigerants.name_of)]
    opening: Amount
    bought: Amount = Decimal(0)
    closing: Amount
    sold: Amount = Decimal(0)  # returned, recovered and destroyed too
    filled: Amount = Decimal(0)  # full charge of machines put into use
    retired: Amount = Decimal(0)  # and of those taken out
    unit: Literal["kg"] = "kg"

    @property
    def lost(self) -> Decimal:
        """What escaped [kg]; raises ValueError for a stock that grew by itself."""
        counted = (self.opening, self.bought, self.closing, self.sold, self.filled, self.retired)
        return Decimal(str(refrigerants.lost(refrigerants.Stock(*map(float, counted)))))

    @model_validator(mode="after")
    def _balances(self) -> Self:
        _ = self.lost
        return self


class Lab(_Period):
    """Net calorific value of a fuel as a laboratory found it, for what is burnt in a period."""

    kind: Literal["lab"]
    carrier: str = Stuff
    ncv: Annotated[Number, Field(gt=0, le=Decimal("1e6"))]
    unit: Unit  # of ncv: GJ/t, MJ/m3 …
    celsius: Annotated[Number, Field(gt=-50, lt=100)] | None = None
    kpa: Annotated[Number, Field(gt=50, lt=200)] | None = None


class Index(_Row):
    """What a meter read by hand showed at the end of a day."""

    kind: Literal["index"]
    carrier: str = Stuff
    last: Day = Field(alias="to")
    quantity: Amount
    unit: Unit
    celsius: Annotated[Number, Field(gt=-50, lt=100)] | None = None
    kpa: Annotated[Number, Field(gt=50, lt=200)] | None = None
    meter: Name | None = None  # its id in the register: ratio and uncertainty come from there


class Certificate(_Row):
    """Attributes of electricity, cancelled for this site; the market-based method allocates them."""

    kind: Literal["certificate"]
    scheme: Literal["GEC", "GO", "REGO", "REC", "I-REC", "other"]
    market: Annotated[str, StringConstraints(min_length=2, max_length=40)]  # country, e.g. CN
    technology: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    production_month: Month
    mwh: Annotated[Number, Field(gt=0, le=Decimal("1e6"))]
    cancelled_on: Day
    cancelled_for: Words = ""
    expires: Day | None = None
    first_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    last_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]


Document = Delivery | Invoice | Production | Stock | Lab | Index | Certificate
KINDS: Final[dict[str, type[_Row]]] = {
    "delivery": Delivery, "stock": Stock, "lab": Lab, "invoice": Invoice, "production": Production,
    "certificate": Certificate, "index": Index,
}  # fmt: skip

Tell = Callable[[str, str], None]  # column ("" for the row), sentence


def parse(cells: Mapping[str, Any], tell: Tell) -> Document | None:
    """Return the document of a row; None where `tell` was given what is wrong with it."""
    kind = str(cells.get("kind", "")).strip().lower()
    model = KINDS.get(kind)
    if model is None:
        said = (
            f"'{kind[:40]}' is no kind of document{nearest(kind, KINDS)}" if kind else f"say one of {', '.join(KINDS)}"
        )
        tell("kind", said)
        return None
    try:
        return model.model_validate({**cells, "kind": kind})  # type: ignore[return-value]
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            tell(str(detail["loc"][0]) if detail["loc"] else "", _explained(detail, kind, model))
    return None


def _explained(detail: ErrorDetails, kind: str, model: type[_Row]) -> str:
    if detail["type"] == "missing":
        return f"a row of kind {kind} needs it"
    if detail["type"] == "extra_forbidden":
        return f"does not go with kind {kind}{nearest(str(detail['loc'][0]), columns(model))}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "string_pattern_mismatch":
        return f"'{str(detail['input'])[:60]}' cannot be a name: letters, digits, '-' and '_' only"
    return f"{detail['msg'].replace('Input should', 'must')}, not '{str(detail['input'])[:60]}'"


def columns(model: type[_Row]) -> list[str]:
    """Return the columns a row of a kind may have."""
    return [field.alias if isinstance(field.alias, str) else name for name, field in model.model_fields.items()]


def dump(document: Document) -> dict[str, Any]:
    """Return a document as JSON-ready data that `parse` makes the same document of."""
    return document.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"kind": document.kind}
