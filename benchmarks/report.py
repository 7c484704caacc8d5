"""Figures, and what is asked of them → tables for the terminal and blocks of docs/PERFORMANCE.md."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"<!-- (?P<name>\w+) -->.*?<!-- /(?P=name) -->", re.DOTALL)


def table(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table, columns padded; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Target:
    """One figure beside what is asked of it."""

    what: str
    measured: str
    target: str
    met: bool

    @classmethod
    def at_most(cls, what: str, value: float, most: float, unit: str, digits: int = 1) -> Target:
        return cls(what, f"{value:,.{digits}f} {unit}", f"≤ {most:g} {unit}", value <= most)

    @classmethod
    def at_least(cls, what: str, value: float, least: float, unit: str, digits: int = 1) -> Target:
        return cls(what, f"{value:,.{digits}f} {unit}", f"≥ {least:g} {unit}", value >= least)


def target_table(targets: Sequence[Target]) -> str:
    """Return targets as a Markdown table."""
    rows = [[t.what, t.measured, t.target, "yes" if t.met else "**no**"] for t in targets]
    return table([["target", "measured", "asked", "met"], *rows])


def heading(title: str, benchmark: str) -> str:
    """Return the beginning of a block: its title, and what wrote it, when and where, with the options it was given."""
    command = shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]])
    return f"""## {title}

Written by `{command}`. {circumstances()}"""


def put_block(path: Path, name: str, text: str) -> None:
    """Put a block into a document between its own marks, at the end where it has none yet."""
    assert re.fullmatch(r"\w+", name), f"{name}: a block's name is letters, digits and _, else it is not found again"
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = path.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    path.write_text(f"{before.rstrip()}\n\n{begin}\n{text}\n{end}{after}", "utf-8")


def head(path: Path) -> None:
    """Write what stands above a document's blocks; when and on which commit is said by each of them."""
    text = path.read_text("utf-8")
    begin = text.find("<!-- ")
    path.write_text(
        f"""# Performance

Written by `make bench`, `make soak` and `python -m benchmarks.NAME`; do not edit.

Each part says what wrote it, when, on which commit and machine. CPU is user and system time of a process and its
children; what is compared runs in turns on the same machine.

{text[begin:] if begin >= 0 else ""}""",
        "utf-8",
    )


def in_order(path: Path, names: Sequence[str]) -> None:
    """Put a document's blocks into the order of `names`; those of other names follow as they stand.

    Raises ValueError when something stands between the blocks: it would be lost.
    """
    text = path.read_text("utf-8")
    begin = text.find("<!-- ")
    if begin < 0:
        return
    found = {match["name"]: match[0] for match in _BLOCK.finditer(text)}
    if between := _BLOCK.sub("", text[begin:]).strip():
        raise ValueError(f"{path} has text outside of its blocks: {between[:200]}")
    before = text[:begin].rstrip()
    order = [name for name in names if name in found] + [name for name in found if name not in names]
    path.write_text("\n\n".join([before, *(found[name] for name in order)]) + "\n", "utf-8")


def circumstances() -> str:
    """Return date, commit and machine in one sentence."""
    return f"{day()}, commit {commit()}, {machine()}."


def day() -> str:
    """Return the date a run was made on."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def commit() -> str:
    """Return the short commit, with a mark when files differ from it, pages aside: they are what is being written."""
    try:
        git = ["git", "-C", str(ROOT)]
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        status = [*git, "status", "--porcelain", "-uno", "--", ".", ":!docs"]
        changed = subprocess.run(status, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.strip() + (" with changes" if changed.stdout.strip() else "")


def machine() -> str:
    """Return what the run ran on, in a line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {system}, Python {platform.python_version()}"
