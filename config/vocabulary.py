"""A plant and an asset → what each name in a formula about that asset means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from config import asset_types
from config.asset_types import AssetType, Grade
from config.bindings import series_key
from config.explain import nearest
from config.formula import Call, Name, Node, parse
from config.formula_plan import Amount, Constant, Level, Meaning, Term
from config.grade_words import said
from config.grades import Grading, grading
from config.model import Asset, Gateway
from config.points import Point
from config.quantities import AMOUNT_OF, QUANTITIES

_UNKNOWN_TYPE: Final = AssetType(id="other", title="")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All assets with their points by full name.

    `known`: the keys of all series, so that kWh and kg follow only from what is accounted; None while that is not
    known yet: every counter and power may have some.
    """

    assets: Mapping[str, Asset]
    points: Mapping[str, Mapping[str, Point]]
    known: Collection[str] | None = None
    _cache: dict[tuple[str, str], Meaning] = field(default_factory=dict)
    _open: set[tuple[str, str]] = field(default_factory=set)  # being told

    @classmethod
    def of(
        cls, gateway: Gateway, points: Mapping[str, Mapping[str, Point]], known: Collection[str] | None = None
    ) -> Vocabulary:
        assets = {name: asset for area in gateway.areas.values() for name, asset in area.assets.items()}
        return cls(assets, points, known)

    def type_of(self, asset: str) -> AssetType:
        return asset_types.load_all().get(self.assets[asset].type, _UNKNOWN_TYPE)

    def resolve(self, asset: str, word: str) -> Meaning:
        """Return what a word means in a formula about an asset: `asset.point` of another, or a role, point, term,
        sum over members or fact of its own; raises LookupError with a sentence."""
        other, dot, rest = word.partition(".")
        if dot:
            asset, word = other, rest
        if asset not in self.assets:
            raise LookupError(f"there is no asset '{asset}'{nearest(asset, self.assets)}")
        if (asset, word) in self._open:
            raise LookupError(f"'{asset}' is made of itself")
        if (asset, word) not in self._cache:
            self._open.add((asset, word))
            try:
                self._cache[asset, word] = self._own(asset, word)
            finally:
                self._open.discard((asset, word))
        return self._cache[asset, word]

    def point_of(self, asset: str, word: str) -> str | None:
        """Return the name of the point a word stands for at an asset, None where it has none such."""
        points, role = self.points.get(asset, {}), self.type_of(asset).roles.get(word)
        if role is None:
            return word if word in points else None
        named = self.assets[asset].roles.get(word)
        names = (named, *role.names) if named else role.names
        return next((n for n in names if n in points and points[n].quantity == role.quantity), None)

    def _own(self, asset: str, word: str) -> Meaning:
        point, kind = self.point_of(asset, word), self.type_of(asset)
        if point is not None:
            return self._measured(asset, point)
        if word in kind.of_members and self.assets[asset].members:
            return self._sum(asset, word, kind.of_members[word] == "all")
        if word in kind.terms:
            return Term(parse(kind.terms[word]), lambda name: self.resolve(asset, name))
        if word in kind.facts:
            return self._fact(asset, word)
        raise LookupError(self._missing(asset, word))

    def _measured(self, asset: str, name: str) -> Meaning:
        point = self.points[asset][name]
        energy, co2e = (self._following(asset, name, quantity) for quantity in ("energy", "co2e"))
        if point.effective_kind == "counter" and point.quantity in AMOUNT_OF:
            amount = AMOUNT_OF[point.quantity]
            return Amount(series_key(asset, name, amount), QUANTITIES[amount].unit, energy, co2e)
        hold_ns = int(self.assets[asset].max_hold_s * 1e9)
        return Level(series_key(asset, name, point.quantity), QUANTITIES[point.quantity].unit, hold_ns, energy, co2e)

    def _following(self, asset: str, name: str, quantity: str) -> str:
        key = series_key(asset, name, quantity)
        if self.known is not None:
            return key if key in self.known else ""
        point = self.points[asset][name]
        return key if point.quantity in AMOUNT_OF or point.quantity == "power" else ""

    def _sum(self, asset: str, word: str, every: bool) -> Meaning:
        """Return the sum of a word over the members of an asset, or over those that have it."""
        parts: list[Node] = []
        for member in self.assets[asset].members:
            try:
                self.resolve(member, word)
            except LookupError:
                if every:
                    raise
                continue
            parts.append(Name(f"{member}.{word}", 1))
        if not parts:
            raise LookupError(f"no member of '{asset}' has '{word}'")
        tree = parts[0]
        for part in parts[1:]:
            tree = Call("+", (tree, part), 1)
        return Term(tree, lambda name: self.resolve(asset, name))

    def _fact(self, asset: str, word: str) -> Meaning:
        fact, stated = self.type_of(asset).facts[word], facts(self.assets[asset])
        value = stated.get(word, fact.default)
        if value is None:
            raise LookupError(f"'{asset}' does not state '{word}' in its facts")
        if isinstance(value, str):
            raise LookupError(f"'{word}' is no number")
        return Constant(value, fact.unit)

    def _missing(self, asset: str, word: str) -> str:
        role = self.type_of(asset).roles.get(word)
        if role is not None:
            return f"'{asset}' has no point '{word}' ({role.quantity} named {' or '.join(role.names)})"
        points = self.points.get(asset, {})
        return f"asset '{asset}' has no point '{word}'{nearest(word, {*points, *self.type_of(asset).roles})}"


def facts(asset: Asset) -> dict[str, float | str]:
    """Return what an asset states; its rated_kw is a fact like the others."""
    rated: dict[str, float | str] = {"rated_kw": asset.rated_kw} if asset.rated_kw else {}
    return rated | asset.facts


def grading_of(asset: Asset, grade: Grade) -> Grading:
    """Return the limits a standard sets for an asset by what it states."""
    stated = facts(asset)
    known = {c: f.strip("'") if f.startswith("'") else stated.get(f) for c, f in grade.where.items()}
    called = {column: fact for column, fact in grade.where.items() if not fact.startswith("'")}
    return grading(grade.standard, {column: value for column, value in known.items() if value is not None}, called)


def grading_said(asset: Asset, found: Grading) -> str:
    """Return by which row an asset is graded, or why by none, in English."""
    return said(found, {name: fact.unit for name, fact in asset_types.load_all()[asset.type].facts.items()})
