"""`tanflow doctor`: what is wrong with a gateway, in plain words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from config.errors import ConfigError
from config.explain import visible
from config.load import Loaded, load
from config.model import Gateway
from tanflow.checking import check_more
from tanflow.commands.options import DataFolder
from tanflow.doctor.examine import examine, facts
from tanflow.doctor.visit import Finding, visit
from tanflow.doctor.words import span
from tanflow.instants import at

out = Console(highlight=False, soft_wrap=True, markup=False)


def doctor(
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", readable=False, help="The gateway's configuration; default: gateway.yaml."),
    ] = None,
    data: DataFolder = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Read log, history and ledger through.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Say what is wrong with a gateway, since when, and what to do; it runs or not, and is not touched.

    Exit 0 when all is well, 1 when something is wrong.
    """
    try:
        loaded, aside = _judged_by(config, data)
        check_more(loaded)
    except ConfigError as error:
        if isinstance(error.__cause__, PermissionError):  # that is not the file's fault
            raise
        wrong = [Finding("configuration", str(p), "correct the file; tanflow check tells more") for p in error.problems]
        _conclude(wrong, {}, 0, as_json)
        return
    folder = data or loaded.gateway.data.dir
    with visit(loaded, folder) as seen:
        found = examine(seen, thorough=thorough) + aside
        told = {f.what for f in found}
        found += [Finding("configuration", str(w), wrong=False) for w in loaded.warnings if w.message not in told]
        _conclude(found, facts(seen), seen.now_ns, as_json)


def _judged_by(config: Path | None, data: Path | None) -> tuple[Loaded, list[Finding]]:
    """Return the configuration a data directory is judged by, and that the usual one is left aside, where it is.

    Raises ConfigError.
    """
    usual = Path("gateway.yaml")
    if config is not None or data is None:
        return load(config or usual), []
    if not usual.exists():
        return _without(data), [_unsaid(f"there is no {usual} here")]
    loaded = load(usual)
    if data.resolve() == loaded.gateway.data.dir.resolve():
        return loaded, []
    return _without(data), [_unsaid(f"{loaded.path} is of the data in {loaded.gateway.data.dir}; it is left aside")]


def _without(data: Path) -> Loaded:
    """Return what judges a data directory by itself, its configuration being unknown: nothing that is not in it."""
    least = {"dir": data, "ballast_mb": 1, "min_free_mb": 16}  # whatever was asked for, it was no less
    site = {"name": "unknown", "region": "GB"}
    bare = {"version": 1, "site": site, "data": least, "api": None, "connections": {}, "areas": {}}
    return Loaded(Path("FILE"), Gateway.model_validate(bare), {}, ())


def _unsaid(why: str) -> Finding:
    words = f"{why}, so nothing is said of connections, sinks, certificates and the page"
    return Finding("configuration", words, "name the file of this data with -c", wrong=False)


def _conclude(found: list[Finding], known: dict[str, object], now_ns: int, as_json: bool) -> None:
    wrong = sum(f.wrong for f in found)
    if as_json:
        said = {"well": not wrong, "findings": [asdict(f) for f in found], "facts": known}
        out.print(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
    else:
        for finding in found:
            out.print(_words(finding, now_ns))
        for name, last_ns in (known.get("last_reading_ns") or {}).items():  # type: ignore[attr-defined]
            when = f"{span(max(0, now_ns - last_ns) / 1e9)} ago" if last_ns else "none lately"
            out.print(f"  {name}: last reading {when}")
        out.print(f"{wrong} things are wrong" if wrong > 1 else "1 thing is wrong" if wrong else "nothing is wrong")
    if wrong:
        raise typer.Exit(1)


def _words(finding: Finding, now_ns: int) -> str:
    mark = "WRONG" if finding.wrong else "note "
    since = ""
    if finding.since_ns:
        since = f" (since {at(finding.since_ns)}, {span(max(0, now_ns - finding.since_ns) / 1e9)})"
    do = f"\n        → {visible(finding.do)}" if finding.do else ""
    return f"{mark} {finding.about}: {visible(finding.what)}{since}{do}"
