"""Lines, factors and meter versions ↔ their numbers in the ledger; what is equal has one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import orjson

from carbon.entries import Line, MeterVersion
from carbon.factor import Factor
from carbon.ledger.codec import DamagedLedger

Thing = TypeVar("Thing", Line, Factor, MeterVersion)


class Numbered(Generic[Thing]):
    """Definitions of one kind by number 0, 1, 2 …; those not yet written to the chain are `fresh`."""

    def __init__(self, read: Callable[[dict[str, Any]], Thing]) -> None:
        self._read: Callable[[dict[str, Any]], Thing] = read
        self.by_number: dict[int, Thing] = {}
        self._numbers: dict[Thing, int] = {}
        self.fresh: list[int] = []

    def number(self, thing: Thing) -> int:
        """Return the number of a definition, the next free one where it is new."""
        if thing not in self._numbers:
            self.fresh.append(self._add(thing))
        return self._numbers[thing]

    def _add(self, thing: Thing) -> int:
        number = len(self.by_number)
        self.by_number[number], self._numbers[thing] = thing, number
        return number

    def take_fresh(self) -> list[dict[str, Any]]:
        """Return what was defined since the last call, as data for a `define` block."""
        fresh, self.fresh = self.fresh, []
        return [{"number": n, "version": _version(t), "is": t.to_json()} for n in fresh for t in (self.by_number[n],)]

    def load(self, data: list[dict[str, Any]]) -> None:
        """Add what a `define` block says; raises DamagedLedger where it contradicts itself or what went before."""
        for item in data:
            thing = self._read(item["is"])
            if _version(thing) != item["version"]:
                raise DamagedLedger(f"definition {item['number']} is not of its stated version {item['version']}")
            if self.by_number.get(item["number"]) == thing:
                continue  # this process wrote it
            if item["number"] != len(self.by_number) or thing in self._numbers:
                raise DamagedLedger(f"definition {item['number']} is out of order or defined twice")
            self._add(thing)


def _version(thing: Line | Factor | MeterVersion) -> str:
    return thing.key if isinstance(thing, Line) else thing.version


class Definitions:
    """All the ledger has defined."""

    KINDS: Final = ("lines", "factors", "meters")

    def __init__(self) -> None:
        self.lines = Numbered[Line](lambda data: Line(**data))
        self.factors = Numbered[Factor](Factor.from_json)
        self.meters = Numbered[MeterVersion](lambda data: MeterVersion(**data))

    def take_fresh(self) -> bytes | None:
        """Return the body of a `define` block with all that is new; None where nothing is."""
        said = {kind: fresh for kind in self.KINDS if (fresh := getattr(self, kind).take_fresh())}
        return orjson.dumps(said) if said else None

    def load(self, body: bytes) -> None:
        """Add what a `define` block says; raises DamagedLedger."""
        try:
            for kind, items in orjson.loads(body).items():
                getattr(self, self.KINDS[self.KINDS.index(kind)]).load(items)
        except (orjson.JSONDecodeError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DamagedLedger(f"a block of definitions cannot be read: {error}") from error
