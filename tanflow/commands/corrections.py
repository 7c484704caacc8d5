"""A factor table, set or publisher, or a transformer ratio, and a configuration → what is to be restated with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from carbon.books import Books
from carbon.entries import Line, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.lines import Rules
from carbon.papers.manual import NORMAL
from carbon.restate import Correction
from carbon.streams import Stream
from config.carriers import about
from config.errors import ConfigError, GatewayError, Problem
from config.explain import nearest
from config.factor_tables import read_table, shipped
from config.fuels import fuel_sets
from config.load import Loaded
from config.meters import Meter, ratio
from config.model import Gateway

_LEAST: Final = Fraction(1, 10_000)  # of what was applied; beyond, a ratio is a slip of the keyboard

# ── factors ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class NewFactors:
    """Factors by line number, and which factors of the ledger they take the place of."""

    steps: Mapping[int, FactorSteps]
    replaces: Callable[[Factor], bool]


def new_factors(loaded: Loaded, lines: Mapping[int, Line], given: str) -> NewFactors:
    """Return what the lines of a ledger that `given` concerns are restated with: a file, a fuel set or a publisher.

    Concerned are the lines whose factors differ between the configuration with and without it. Factors made of
    something else (contracts, certificates, laboratory values) are not replaced. Raises GatewayError where it changes
    nothing, and as the factors of a configuration do.
    """
    without, with_it = _configurations(loaded, given)
    old, new = (dict(_rules(config, loaded, lines)) for config in (without, with_it))
    concerned = {key: steps for key, steps in new.items() if key in old and _content(old[key]) != _content(steps)}
    numbers = {n: concerned[line.key] for n, line in lines.items() if line.key in concerned}
    if not numbers:
        needs = sorted({what for steps in old.values() for factor in steps.factors for what in _what(factor)})
        words = f"{given} changes no factor of the account's lines; they use {', '.join(needs)}"
        raise GatewayError(words if needs else "the ledger has no lines with factors yet")
    kinds = {_what(f) for key in concerned for steps in (old[key], new[key]) for f in steps.factors}
    return NewFactors(numbers, lambda factor: _what(factor) in kinds)


def _configurations(loaded: Loaded, given: str) -> tuple[Gateway, Gateway]:
    """Return the configuration without and with what is given."""
    gateway, base = loaded.gateway, loaded.path.parent
    factors, accounting = gateway.factors, gateway.accounting
    if (path := Path(given)).is_file():
        read_table(path)  # its mistakes first
        others = tuple(t for t in factors.tables if (base / t).resolve() != path.resolve())
        return _with_tables(gateway, others), _with_tables(gateway, (*others, path.resolve()))
    tables = [base / table for table in factors.tables]
    if given in fuel_sets(tables):
        return gateway, gateway.model_copy(update={"accounting": accounting.model_copy(update={"fuels": given})})
    publishers = {row.publisher for row in shipped()}
    if given in publishers:
        first = (given, *(p for p in factors.publishers if p != given))
        return gateway, gateway.model_copy(update={"factors": factors.model_copy(update={"publishers": first})})
    known = [*fuel_sets(tables), *publishers]
    raise GatewayError(
        f"there is no file, set or publisher '{given}'{nearest(given, known)}; see `tanflow factors list`"
    )


def _with_tables(gateway: Gateway, tables: tuple[Path, ...]) -> Gateway:
    return gateway.model_copy(update={"factors": gateway.factors.model_copy(update={"tables": tables})})


def _rules(config: Gateway, loaded: Loaded, lines: Mapping[int, Line]) -> Iterator[tuple[str, FactorSteps]]:
    """Yield (key, factors) of every line the configuration has rules for: of its meters, and of documents' streams."""
    base = loaded.path.parent
    books = Books.of(config, loaded.templates, base)
    known = {line.key: steps for rules in books.rules.values() for line, steps in rules}
    yield from known.items()
    rules = Rules(config, base)
    for stream in {_stream(line) for line in lines.values() if line.key not in known and line.category != "fugitive"}:
        for line, steps in rules.of(stream):
            yield line.key, steps


def _stream(line: Line) -> Stream:
    """Return the stream of a line that no meter brings: of documents, which keep gas in the normal state."""
    gas = line.unit == "m3" and about(line.carrier).state == "gas"
    return Stream(
        line.stream, line.asset, line.area, line.asset_type, line.carrier, line.unit, line.role,
        reference=NORMAL if gas else None,
    )  # fmt: skip


def _content(steps: FactorSteps) -> tuple[bytes, tuple[str, ...]]:
    return steps.start_ns.tobytes(), tuple(factor.version for factor in steps.factors)


def _what(factor: Factor) -> tuple[str, ...]:
    """Return what a factor is of, whoever published it for whichever year, e.g. (`CN-GD/location_average`,).

    Ids end in …/region or fuel/kind/year; a factor made of several joins theirs with a plus, one made with an analysis
    has `+lab` at its end.
    """
    parts = [part.split("/") for part in factor.id.split("+")]
    return tuple("/".join(p[-3:-1]) if len(p) > 2 else p[0] for p in parts if len(p) > 2 or p == ["lab"])


# ── meters ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class NewRatio:
    """Corrected versions by number of the wrong ones, the lines they are looked for in, and what is left to do."""

    corrections: Mapping[int, Correction]
    lines: set[int]
    advice: str


def new_ratio(
    loaded: Loaded, lines: Mapping[int, Line], versions: Mapping[int, MeterVersion], name: str, ct: str, pt: str
) -> NewRatio:
    """Return the corrections of a meter that has transformers `ct` and `pt` (the register's where empty).

    multiplier = true ratio ÷ the ratio its entries were booked with; where they state none, that of the register.
    Raises GatewayError for a meter nobody knows and ConfigError where no ratio is known to have been applied.
    """
    meter = loaded.gateway.accounting.meters.get(name)
    if meter is None:
        known = nearest(name, loaded.gateway.accounting.meters)
        raise GatewayError(f"there is no meter '{name}' under accounting.meters{known}")
    booked = {n: version for n, version in versions.items() if version.meter == name}
    corrections = {}
    for number, version in booked.items():
        true, applied = _ratios(loaded, name, meter, version, ct, pt)
        if not _LEAST < true / applied < 1 / _LEAST:
            raise GatewayError(f"{name} was booked with ratio {float(applied):g}; {float(true):g} cannot be meant")
        if true != applied:
            corrections[number] = Correction(replace(version, ratio=float(true)), true / applied)
    if not corrections:
        why = "was booked with that ratio all the time" if booked else "has measured nothing that is booked"
        raise GatewayError(f"meter {name} {why}; there is nothing to restate")
    asset = meter.device.partition(".")[0] if meter.device else ""
    virtual = {f"{v.asset}.{v.carrier}.{name}" for name, v in loaded.gateway.accounting.virtual.items()}
    concerned = {n for n, line in lines.items() if asset in ("", line.asset) and line.stream not in virtual}
    return NewRatio(corrections, concerned, _advice(name, meter, ct, pt))


def _ratios(
    loaded: Loaded, name: str, meter: Meter, version: MeterVersion, ct: str, pt: str
) -> tuple[Fraction, Fraction]:
    """Return (true, applied) ratios of both transformers of one version."""
    said_ct, said_pt = _transformers(meter, version.number)
    if (ct and not said_ct) or (pt and not said_pt):
        which = "ct" if ct and not said_ct else "pt"
        message = f"does not say which {which} it was booked with; write {which}: {{ratio: …}} as it was applied"
        raise ConfigError([Problem(str(loaded.path), 1, f"accounting.meters.{name}", message)])
    registered = (said_ct or Fraction(1)) * (said_pt or Fraction(1))
    true = (_ratio(ct) if ct else said_ct or Fraction(1)) * (_ratio(pt) if pt else said_pt or Fraction(1))
    booked = Fraction(version.ratio).limit_denominator(1_000_000)
    return true, booked if booked != 1 else registered


def _transformers(meter: Meter, number: int) -> tuple[Fraction | None, Fraction | None]:
    """Return the ratios the register states for a version: as described, then after each event up to it."""
    states = [meter, *meter.events[: number - 1]]
    cts, pts = ([ratio(t.ratio) for s in states if (t := getattr(s, kind))] for kind in ("ct", "pt"))
    return cts[-1] if cts else None, pts[-1] if pts else None


def _ratio(text: str) -> Fraction:
    try:
        found = ratio(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not found:
        raise GatewayError(f"'{text}' is no ratio; write primary/secondary, e.g. 300/5")
    return found


def _advice(name: str, meter: Meter, ct: str, pt: str) -> str:
    """Return what the register still says wrong, "" where nothing."""
    registered = zip(("ct", "pt"), (ct, pt), _transformers(meter, len(meter.events) + 1), strict=True)
    wrong = [f"{kind}: {{ratio: {text}}}" for kind, text, said in registered if text and _ratio(text) != said]
    if not wrong:
        return ""
    return f"accounting.meters.{name} still says otherwise: write {', '.join(wrong)}, or new hours are booked wrong"
