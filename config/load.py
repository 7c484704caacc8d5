"""gateway.yaml → a checked configuration; every mistake is told at once, with its line."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigError, Problem
from config.explain import explain, visible
from config.heat_checks import doubt_cooling
from config.line_checks import check_lines
from config.meter_checks import doubt_meters
from config.model import Asset, Gateway
from config.plant_checks import Finding, Loc, Plant, check_plant
from config.points import DeviceMap, Point, Template
from config.power_checks import doubt_phases
from config.reference_checks import check_references
from config.secret_checks import doubt_secrets
from config.templates import Templates
from config.yaml_lines import Place, Unreadable, locate, read, written

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_PROBLEMS: Final = 200
_OPEN_BLOCKS: Final = ("templates", "connections", "sinks", "windows", "alerts")
_STAND_INS: Final[dict[str, Any]] = {
    "version": 1,
    "site": {"name": "site", "region": "unknown"},
    "connections": {},
    "areas": {},
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can run; paths in it are absolute, `warnings` are in the order of the file."""

    path: Path
    gateway: Gateway
    templates: Mapping[str, DeviceMap]
    warnings: tuple[Problem, ...]


def load(path: Path | str) -> Loaded:
    """Return the checked configuration of a file; relative paths in it start from the file's folder.

    Raises ConfigError with all problems in the order of the file.
    """
    path = Path(path)
    try:
        data, top, issues = read(_text(path))
    except Unreadable as error:
        raise ConfigError([Problem(str(path), error.line, "gateway", str(error))]) from None
    if data is None:
        raise ConfigError([Problem(str(path), 1, "gateway", "the file is empty; begin with 'version: 1'")])
    problems = [_told(path, line, where, message) for line, where, message in issues]
    plant, errors = _validate(data, top, path.parent)
    findings = errors + ([*check_plant(plant), *check_lines(plant), *check_references(plant)] if plant else [])
    problems += [_problem(path, top, finding) for finding in findings]
    if problems or plant is None:
        raise ConfigError(_in_order(str(path), problems))
    warnings = [_problem(path, top, finding) for finding in _doubts(plant)]
    return Loaded(path, plant.gateway, plant.templates, tuple(_in_order(str(path), warnings)))


def located(path: Path, findings: list[Finding]) -> list[Problem]:
    """Return what was found wrong with a configuration that had been read, with the lines of its file."""
    _, top, _ = read(_text(path))
    return _in_order(str(path), [_problem(path, top, finding) for finding in findings])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "unusable path"
        raise ConfigError([Problem(str(path), 1, "gateway", f"the file cannot be read: {why}")]) from error
    if len(raw) > MAX_BYTES:
        raise Unreadable(1, "the file is larger than 16 MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(line, "the file is not UTF-8 text; save it as UTF-8") from None


def _validate(data: Any, top: Place, folder: Path) -> tuple[Plant | None, list[Finding]]:
    """Return the plant without its wrong blocks, so that the rest is checked too, and what is wrong with those."""
    try:
        return _plant(Gateway.model_validate(data), folder), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    findings = [(_stands(d), explain(d, Gateway, written(top, d["loc"]))) for d in details]
    if not isinstance(data, dict):
        return None, findings
    extra = {locate(top, d["loc"])[1] for d in details if d["type"] == "extra_forbidden"}
    broken = frozenset(_block(d["loc"]) for d in details if d["type"] != "extra_forbidden")
    pruned = copy.copy(data)
    for block in sorted(extra | broken, key=len, reverse=True):
        _prune(pruned, block)
    try:
        return _plant(Gateway.model_validate(pruned), folder, broken), findings
    except ValidationError:
        return None, findings


def _plant(gateway: Gateway, folder: Path, broken: frozenset[Loc] = frozenset()) -> Plant:
    """Return the plant with all templates it may name; its own go before shipped ones of the same name."""
    return Plant(_rebase(gateway, folder), Templates(gateway.templates), folder, broken)


def _stands(error: ErrorDetails) -> Loc:
    """Return the path of what is wrong: a missing key is its block's mistake, a wrong tag stands at its key."""
    loc: Loc = error["loc"]
    if error["type"] == "missing":
        return loc[:-1]
    return (*loc, error["ctx"]["discriminator"].strip("'")) if error["type"] == "union_tag_invalid" else loc


def _block(loc: Loc) -> Loc:
    """Return the smallest block that can be left out because of an error at `loc`."""
    if loc[:1] == ("areas",):
        return loc[:4] if len(loc) >= 4 and loc[2] == "assets" else loc[:2]
    return loc[:2] if loc and loc[0] in _OPEN_BLOCKS else loc[:1]


def _prune(data: Any, block: Loc) -> None:
    """Take a block out of `data`, copying what is changed: blocks may be shared through aliases."""
    *parents, last = block or ("",)
    for part in parents:
        if not isinstance(data, dict) or not isinstance(data.get(part), dict):
            return
        data[part] = copy.copy(data[part])
        data = data[part]
    if isinstance(data, dict):
        data.pop(last, None)
        if not parents and last in _STAND_INS:
            data[last] = copy.copy(_STAND_INS[str(last)])


def _problem(path: Path, top: Place, finding: Finding) -> Problem:
    line, where = locate(top, finding[0])
    return _told(path, line, where, finding[1])


def _told(path: Path, line: int, where: Loc, message: str) -> Problem:
    """Return a problem that prints as one line whatever was written."""
    return Problem(str(path), line, visible(_dotted(where)), visible(message))


def _dotted(where: Loc) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return text.removeprefix(".") or "gateway"


def _in_order(file: str, problems: list[Problem]) -> list[Problem]:
    ordered = sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.path))
    more = len(ordered) - MAX_PROBLEMS
    if more > 0:
        last = Problem(file, ordered[MAX_PROBLEMS].line, "gateway", f"and {more} more problems")
        return [*ordered[:MAX_PROBLEMS], last]
    return ordered


ModelType = TypeVar("ModelType", bound=BaseModel)


def _rebase(block: ModelType, folder: Path) -> ModelType:
    """Return a block with its relative paths taken from `folder`; areas hold no paths."""
    changed = {}
    for key in type(block).model_fields:
        value = getattr(block, key)
        if key != "areas" and (moved := _moved(value, folder)) is not value:
            changed[key] = moved
    return block.model_copy(update=changed) if changed else block


def _moved(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return (folder / value).absolute()
    if isinstance(value, BaseModel):
        return _rebase(value, folder)
    if isinstance(value, dict):
        return {k: _moved(v, folder) for k, v in value.items()}
    if isinstance(value, tuple) and any(isinstance(v, Path | BaseModel) for v in value):
        return tuple(_moved(v, folder) for v in value)
    return value


def _doubts(plant: Plant) -> Iterator[Finding]:
    """Yield what can run but should be looked at."""
    used = {device.connection for _, _, _, _, device in plant.devices()}
    for name in plant.gateway.connections:
        if name not in used:
            yield ("connections", name), "no device uses this connection"
    for path, _, asset, _, device in plant.devices():
        template = plant.templates.get(device.template or "")
        if isinstance(template, Template) and template.confidence.startswith("low"):
            yield (*path, "template"), f"template {template.id}: {template.confidence}; compare with the display"
        bare = [n for n, p in plant.points(device).items() if _is_unbounded(p, asset)]
        if bare:
            names = (
                f"counter '{bare[0]}' has" if len(bare) == 1 else f"'{bare[0]}' and {len(bare) - 1} more counters have"
            )
            message = (
                f"{names} neither max_rate nor the asset's rated_kw; an impossible jump cannot be told from a true one"
            )
            yield path, message
    yield from doubt_meters(plant)
    yield from doubt_secrets(plant.gateway)
    yield from doubt_cooling(plant)
    yield from doubt_phases(plant)


def _is_unbounded(point: Point, asset: Asset) -> bool:
    """Return whether nothing says how fast a counter that is accounted for can advance."""
    if point.effective_kind != "counter" or point.max_rate is not None:
        return False
    return point.quantity in ("volume_index", "mass_index") or (point.quantity == "energy_index" and not asset.rated_kw)
