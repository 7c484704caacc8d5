"""Scenarios of the demo over seeds and seasons → how soon each is told, at what cost, and what is told of nothing.

`python -m benchmarks.detection [--jobs 2]` writes the tables of docs/DETECTION.md; in process, a day takes 3 seconds.
"""

from __future__ import annotations

import argparse
import bisect
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

from pipeline.alerts.stage import Status
from pipeline.clock import SECOND_NS
from simulators.device import Device
from simulators.scenario import Scenario, Showing
from tanflow.dry_run import Transition
from tanflow.showing import Rehearsal, names, scenario

OUT = Path(__file__).parents[1] / "docs" / "DETECTION.md"
RUNS = [(seed, 13 * k) for k, seed in enumerate((1, 2, 3, 4))]  # seed, weeks later: each in a season of its own
MARKS = ("<!-- scenarios -->", "<!-- end of scenarios -->")
QUIET_DAYS = 28
_HOUR_NS = 3_600 * SECOND_NS
_WINDOW_NS = {"idle-furnace": _HOUR_NS // 4}  # of the figure that tells the cost; else an hour
_MACHINES = {"leak": ("compressor-1", "compressor-2"), "fouling": ("chiller-1",), "night-load": ("main-meter",)}
Devices = Mapping[str, Device]


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: hours until the alert fired (None: it did not), others that did, kW told and true while it lasted."""

    name: str
    hours: float
    detected_h: float | None
    others: list[str]
    told_kw: list[float] = field(default_factory=list)
    true_kw: list[float] = field(default_factory=list)


def observe(name: str, seed: int, weeks: int, days: float | None = None) -> Seen:
    """Return what became of a scenario, so many weeks after its own beginning."""
    wanted = scenario(name).model_copy(update={"seed": seed})
    show = _of(wanted)
    later = show.model_copy(update={"begin": show.begin + timedelta(weeks=weeks)})
    rehearsal = Rehearsal(wanted.model_copy(update={"demo": later}))
    hours = show.lasts_h if days is None else 24 * days
    told = list(rehearsal.run(hours * 3_600))
    fired = [t for t in told if t.changed and t.status is Status.FIRING]
    mine = [t for t in fired if _key(t) == show.alert]
    others = [_key(t) for t in fired if _key(t) != show.alert]
    begun_ns = rehearsal.begin_ns + round(_begins_s(wanted) * SECOND_NS)
    detected = (mine[0].time_ns - begun_ns) / _HOUR_NS if mine else None
    seen = Seen(name, hours, detected, others)
    if mine and wanted.events:
        twin = _twin(wanted, rehearsal)
        lasting = [t for t in told if _key(t) == show.alert and t.status is not Status.CLEAR and t.excess > 0]
        seen.told_kw.extend(t.excess for t in lasting)
        seen.true_kw.extend(_true(name, rehearsal.devices, twin, t.time_ns) for t in lasting)
    return seen


def _of(scenario: Scenario) -> Showing:
    assert scenario.demo, "a scenario of the demo says how it is shown"
    return scenario.demo


def _key(told: Transition) -> str:
    return f"{told.alert.asset}.{told.alert.name}"


def _begins_s(scenario: Scenario) -> float:
    """Return when what goes wrong begins [s]; 0 where nothing does."""
    return min((one.at_s for one in (*scenario.events, *scenario.faults)), default=0.0)


def _twin(scenario: Scenario, rehearsal: Rehearsal) -> Devices:
    """Return the same factory, at the same times, in which nothing happened."""
    devices, step = scenario.model_copy(update={"events": (), "faults": ()}).devices()
    for time_ns in next(iter(rehearsal.devices.values())).trace.time_ns:
        step(time_ns, scenario.step_s)
    return devices


def _true(name: str, devices: Devices, twin: Devices, end_ns: int) -> float:
    """Return the mean power that was wasted in the window that ends then [kW]."""
    begin_ns = end_ns - _WINDOW_NS.get(name, _HOUR_NS)
    if name == "idle-furnace":  # nothing is made: all it burns is wasted
        return _mean_kw(devices["furnace-1"], begin_ns, end_ns)
    return sum(
        _mean_kw(d[m], begin_ns, end_ns) * sign for m in _MACHINES[name] for d, sign in ((devices, 1), (twin, -1))
    )


def _mean_kw(device: Device, begin_ns: int, end_ns: int) -> float:
    at = [max(0, bisect.bisect_right(device.trace.time_ns, t) - 1) for t in (begin_ns, end_ns)]
    hours = (device.trace.time_ns[at[1]] - device.trace.time_ns[at[0]]) / _HOUR_NS
    return device.trace.energy_between(*at) / hours


def lines(seen: Sequence[Seen]) -> Iterable[str]:
    """Yield the tables."""
    yield "| scenario | alert | stated | detected after, median | worst | found | told, kW | true, kW | others |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in names():
        show, mine = _of(scenario(name)), [s for s in seen if s.name == name]
        if show.alert is None or not mine:
            continue
        stated = (show.within_h or 0.0) - _begins_s(scenario(name)) / 3_600
        took = [s.detected_h for s in mine if s.detected_h is not None]
        told, true = (_mean(s.told_kw for s in mine), _mean(s.true_kw for s in mine))
        others = sorted({key for s in mine for key in s.others})
        times = (f"{median(took):.1f} h", f"{max(took):.1f} h") if took else ("–", "–")
        yield (
            f"| {name} | `{show.alert}` | {stated:.1f} h | {times[0]} | {times[1]} | {len(took)} of {len(mine)} "
            f"| {told} | {true} | {', '.join(others) or 'none'} |"
        )
    yield ""
    yield "| nothing is wrong | days | alerts that fired | for each 28 days |"
    yield "|---|---|---|---|"
    for (seed, weeks), one in zip(RUNS, [s for s in seen if s.name == "all-is-well"], strict=True):
        days = one.hours / 24
        begin = _of(scenario("all-is-well")).begin + timedelta(weeks=weeks)
        fired = ", ".join(f"{key} {one.others.count(key)}×" for key in sorted(set(one.others))) or "none"
        yield f"| from {begin:%Y-%m-%d}, seed {seed} | {days:.0f} | {fired} | {28 * len(one.others) / days:.0f} |"


def _mean(series: Iterable[Sequence[float]]) -> str:
    values = [value for one in series for value in one]
    return f"{sum(values) / len(values):.1f}" if values else "–"


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args().jobs
    wanted: list[tuple[str, int, int, float | None]] = [
        (name, seed, weeks, QUIET_DAYS if name == "all-is-well" else None) for name in names() for seed, weeks in RUNS
    ]
    with ProcessPoolExecutor(jobs) as pool:
        seen = list(pool.map(observe, *zip(*wanted, strict=True)))
    table = "\n".join(lines(seen))
    text, (begin, end) = OUT.read_text("utf-8"), MARKS
    before, _, rest = text.partition(begin)
    OUT.write_text(f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}", "utf-8")
    print(table)


if __name__ == "__main__":
    main()
