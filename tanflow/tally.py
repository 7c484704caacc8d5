"""Windows of the log → what was accepted of each asset, to be held against the simulators' own truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.batch import DERIVED, INPUT, LEDGER, Batch
from pipeline.log.log import Log
from pipeline.quality import INTEGRATED
from pipeline.series import SeriesTable
from pipeline.spec import Spec
from simulators.device import Device, Trace

_CHUNK_ROWS = 50_000


@dataclass(slots=True)
class Account:
    """Energy and CO₂e of one asset, and the samples they stand on: (gateway time [ns], step) of each."""

    energy_kwh: float = 0.0
    co2e_kg: float = 0.0
    integrated: bool = False
    stretches: list[tuple[int, int]] = field(default_factory=list)  # counted intervals, joined where they meet [ns]
    resolution: float = 0.0
    relative: float = 0.0
    index: float = 0.0
    samples: dict[int, int] = field(default_factory=dict)

    def holds(self, start_ns: int) -> bool:
        """Return whether an interval begins within this run: the first after a restart reaches back before it."""
        return start_ns in self.samples or (bool(self.stretches) and self.stretches[0][0] <= start_ns)

    def count(self, start_ns: int, end_ns: int) -> None:
        """Note an interval that is counted; power is not integrated over a time in which nobody read it."""
        if not self.stretches:
            self.stretches.append((start_ns, end_ns))
            return
        begun_ns, last_ns = self.stretches[-1]
        if start_ns > last_ns and {start_ns, last_ns} <= self.samples.keys():
            self.stretches.append((start_ns, end_ns))
        else:
            self.stretches[-1] = (begun_ns, max(last_ns, end_ns))


@dataclass(slots=True)
class Tally:
    """Follows the log from a position on and adds up."""

    table: SeriesTable
    position: int
    since_ns: int = 0  # rows of earlier runs are counted, but belong to no account
    readings: int = 0
    rows: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)

    async def run(self, log: Log) -> None:
        """Follow the log for ever."""
        while True:
            if not self.step(log):
                await log.changed()

    def step(self, log: Log) -> bool:
        """Take the next windows; False when there are none."""
        windows = log.read(self.position, _CHUNK_ROWS)
        for window in windows:
            self.position = window.position
            for batch in window.batches:
                self._take(batch)
        return bool(windows)

    def _take(self, batch: Batch) -> None:
        if (
            batch.header.connection == LEDGER
        ):  # what the account publishes of them; the ledger keeps it, not the history
            return
        self.rows += len(batch)
        if batch.header.stratum == INPUT:
            self.readings += len(batch)
        rows = zip(
            batch.time_ns.tolist(),
            batch.span_ns.tolist(),
            batch.series.tolist(),
            batch.value.tolist(),
            batch.quality.tolist(),
            strict=True,
        )
        for time_ns, span_ns, series, value, quality in rows:
            if time_ns < self.since_ns:
                continue
            spec = self.table.spec(series)
            asset, point, quantity = spec.key.split(".")
            account = self.accounts.setdefault(asset, Account())
            if point == "sequence":
                account.samples[time_ns] = int(value)
            elif spec.like.stratum == DERIVED and not account.holds(time_ns - span_ns):
                continue
            elif spec.like.field == "energy_kwh":
                account.energy_kwh += value
                account.integrated |= bool(quality & INTEGRATED)
                account.count(time_ns - span_ns, time_ns)
            elif quantity == "co2e":
                account.co2e_kg += value
            elif quantity in ("energy_index", "volume_index") and _feeds(self.table, spec):
                account.resolution, account.relative, account.index = spec.like.resolution, spec.like.relative, value


def _feeds(table: SeriesTable, spec: Spec) -> bool:
    """Return whether a register is the one its asset's energy_kwh comes from."""
    if not spec.amount:
        return False
    amount = table.spec(table.ids[spec.amount])
    return amount.like.field == "energy_kwh" or any(key.endswith(".energy") for key, _ in amount.products)


@dataclass(frozen=True, slots=True)
class Line:
    """One asset: what the gateway says, what is true, how far they may differ and why."""

    asset: str
    energy_kwh: float
    true_kwh: float
    bound_kwh: float
    basis: str
    co2e_kg: float

    @property
    def agrees(self) -> bool:
        return abs(self.energy_kwh - self.true_kwh) <= self.bound_kwh


def compare(accounts: Mapping[str, Account], devices: Mapping[str, Device]) -> Iterable[Line]:
    """Yield each simulated asset's account beside the truth between the samples its counted stretches lie between."""
    for asset, device in devices.items():
        account = accounts.get(asset, Account())
        ends = [(account.samples.get(begin), account.samples.get(end)) for begin, end in account.stretches]
        steps = [(first, last) for first, last in ends if first is not None and last is not None]
        if not steps or len(steps) < len(ends):
            yield Line(asset, account.energy_kwh, float("nan"), 0.0, "no sample accepted", account.co2e_kg)
            continue
        true = sum(device.trace.energy_between(first, last) for first, last in steps)
        if account.integrated:
            bound, basis = _integration_bound(account, device.trace), "integrated power"
        else:
            bound, basis = _register_bound(account), "register"
        yield Line(asset, account.energy_kwh, true, bound, basis, account.co2e_kg)


def _register_bound(account: Account) -> float:
    """Return how far the difference of two indices can be from the truth: half a step at either end.

    Steps are those of the register's type; 10⁻⁹ of the energy covers what float64 sums leave on both sides.
    """
    step = account.resolution + max(account.relative, 2.0**-48) * abs(account.index)
    return step + 1e-9 * account.energy_kwh


def _integration_bound(account: Account, trace: Trace) -> float:
    """Return the most the trapezoid over accepted samples can differ from the truth [kWh].

    Samples are taken at steps s₀ … sₙ and stamped δᵢ later, δᵢ in [δ_min, δ_max]. Between two samples the true integral
    and the trapezoid over the steps' own times both lie within dt·P_min … dt·P_max, so they differ by at most
    Σ dt·(P_max − P_min). Stamps stretch each interval by at most J = δ_max − δ_min, which moves the sum of
    mean powers times intervals by at most J·(P_first + P_last)/2 + J·Σ|ΔP|/2 (Abel summation), here taken as
    J·(P_peak + Σ|ΔP|) for each stretch without a hole. float32 registers add 2⁻²³ of the energy.
    """
    held = swing = most_kw = 0.0
    delays: list[int] = []
    for begin, end in account.stretches:
        samples = sorted((t, s) for t, s in account.samples.items() if begin <= t <= end)
        steps = [s for _, s in samples]
        delays += [t - trace.time_ns[s] for t, s in samples]
        powers = [abs(trace.power_kw[s]) for s in steps]
        swing += sum(abs(b - a) for a, b in pairwise(powers))
        most_kw = max(most_kw, *powers)
        held += trace.integration_bound(steps)
    jitter_h = (max(delays) - min(delays)) / 3.6e12
    return held + jitter_h * (len(account.stretches) * most_kw + swing) + 2.0**-23 * account.energy_kwh
