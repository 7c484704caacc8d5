"""The figures of one run → a table for the terminal and docs/PERFORMANCE.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Figures

MAX_CORE_SHARE = 0.20
MAX_RSS_MB = 200.0
MIN_RATIO = 10.0
MAX_LAG_S = 0.050
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run measured."""

    devices: int
    values: int
    gateway: Figures
    lag_s: float  # largest in the measured time
    start_lag_s: float  # largest since the program started
    accepted: int  # readings in the gateway's own history after an orderly end
    stored: int  # readings in InfluxDB then
    bad: int  # rows the collectors counted as bad or rejected
    bytes_per_value: float  # of the data directory: log and history together
    plain: Figures
    careful: Figures

    @property
    def ratio_plain(self) -> float:
        return self.plain.us_per_value / self.gateway.us_per_value

    def targets(self) -> list[tuple[str, str, str, bool]]:
        """Return (what, measured, target, met) for each line that has a target."""
        share, ratio, lag = self.gateway.core_share, self.ratio_plain, self.lag_s
        rss, peak, most = self.gateway.rss_mb, self.gateway.peak_rss_mb, f"≤ {MAX_RSS_MB:.0f} MB"
        return [
            ("CPU, share of one core", f"{share:.1%}", f"≤ {MAX_CORE_SHARE:.0%}", share <= MAX_CORE_SHARE),
            ("memory (resident, median)", f"{rss:.0f} MB", most, rss <= MAX_RSS_MB),
            ("memory (resident, largest)", f"{peak:.0f} MB", most, peak <= MAX_RSS_MB),
            ("CPU per value, plain script ÷ gateway", f"{ratio:.1f} x", f"≥ {MIN_RATIO:.0f} x", ratio >= MIN_RATIO),
            ("largest loop lag", f"{lag * 1e3:.0f} ms", f"≤ {MAX_LAG_S * 1e3:.0f} ms", lag <= MAX_LAG_S),
            ("readings bad or rejected", f"{self.bad:,}", "0", self.bad == 0),
            (
                "readings accepted, and found in InfluxDB",
                f"{self.accepted:,}, {self.stored:,}",
                "equal",
                self.stored == self.accepted,
            ),
        ]


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
    """Return the beginning of a block: its title, and what wrote it when and where."""
    return f"""## {title}

Written by `python -m benchmarks.{benchmark}`. {datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {machine()}."""


def tables(run: Run) -> str:
    """Return the result as Markdown, which reads well on a terminal too."""
    targets = [["gateway", "measured", "target", "met"]]
    targets += [[what, measured, target, "yes" if met else "**no**"] for what, measured, target, met in run.targets()]
    peers = [["same devices, same InfluxDB", "CPU per value", "values/s", "share of a core", "memory", "÷ gateway"]]
    for name, figures in (
        ("tanflow", run.gateway),
        ("plain script: a Point a value, a write a device", run.plain),
        ("careful script: a Point a device, a write a second", run.careful),
    ):
        peers.append(
            [
                name,
                f"{figures.us_per_value:.2f} µs",
                f"{figures.values_per_s:,.0f}",
                f"{figures.core_share:.1%}",
                f"{figures.rss_mb:.0f} MB",
                f"{figures.us_per_value / run.gateway.us_per_value:.1f} x",
            ]
        )
    return f"{table(targets)}\n\n{table(peers)}"


def document(run: Run) -> str:
    """Return docs/PERFORMANCE.md."""
    count, length_s = len(run.gateway.intervals), run.gateway.intervals[0].length_s
    return f"""# Performance

Written by `make bench`; do not edit. {datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {machine()}.
Command: `make bench`

{run.devices:,} simulated Modbus TCP devices × {run.values} float32 values at 1 Hz, everything on: Modbus → normalise →
meter → CO₂ → durable log → history (Parquet) → InfluxDB 1.x. No query ran. Figures are medians over
{count} intervals of {length_s:.0f} s in steady state; CPU and memory are those of the gateway process and its
children together, from /proc. Devices, InfluxDB and the gateway share the machine.

{tables(run)}

Memory rises while a file of the history is written, for a fraction of a second every half million rows; an interval's
end may fall on it. Log and history grew
by {run.bytes_per_value:.1f} bytes a reading; the log lets go of what everyone has taken. The largest
loop lag is that of the measured time, Parquet files and checkpoints included; while starting, with every
series of the plant to be compiled, it was {run.start_lag_s * 1e3:.0f} ms. Accepted is
what stands in the gateway's own history after it was told to stop.

The two scripts are `benchmarks/peer_pymodbus.py`: pymodbus and influxdb-client as their own examples show them, and
the same written with care. Both only read, convert and write: no log, no history, no energy, no CO₂, nothing survives
an outage. Their writes pass a door to InfluxDB 1.x in a process of its own, which is not counted. A script that cannot
keep up with 1 Hz is counted by the values it moved.

Not in these figures: the hourly compaction of the history, alerts and windows (none configured here), and the page.
"""


def put_block(path: Path, name: str, text: str) -> None:
    """Put a block into a document between its own marks, at the end where it has none yet."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = path.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    path.write_text(f"{before.rstrip()}\n\n{begin}\n{text}\n{end}{after}", "utf-8")


def blocks(text: str) -> str:
    """Return the blocks other benchmarks have put into a document."""
    begin = text.find("<!-- ")
    return "" if begin < 0 else "\n" + text[begin:]


def commit() -> str:
    """Return the short commit, with a mark when files differ from it."""
    try:
        git = ["git", "-C", str(ROOT)]
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
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
