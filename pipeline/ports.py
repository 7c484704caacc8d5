"""What the core asks of the outside: collectors bring batches in, sinks take them out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from pipeline.batch import Batch, Header, Times
from pipeline.clock import Clock


@dataclass(frozen=True, slots=True)
class Origin:
    """What a collector needs to stamp its batches."""

    connection: str
    revision: int
    clock: Clock
    directory: Path = Path()  # the gateway's data, where a collector may keep what is its own (certificates)

    def header(self) -> Header:
        """Return the header of a batch completed now."""
        clock = self.clock
        return Header(self.connection, self.revision, clock.boot, clock.now_ns(), clock.monotonic_ns())


class Collector(Protocol):
    """Outside world → batches of raw device values (decoded, not yet scaled).

    Entering opens what can be opened at once; one unreachable device must not fail it. `batches` yields
    when there is something; being resumed means: the batch is committed, acknowledge its input now. It never
    ends by itself; it raises Unavailable when it must be opened again, and cancelling it is always safe.
    """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def resume(self, tokens: Sequence[bytes], newest_ns: Times) -> None:
        """Take back what is committed, before `batches` is called: tokens of the last batches, oldest first.

        `newest_ns` is the time of the newest accepted row of each series by its id (NEVER: there is none), which the
        collector only reads; what a source can still tell of the time since then is asked for from there.
        """

    def heard(self, device: str) -> Sequence[Any]:
        """Return what a device of its (asset.device) said last, raw, in the protocol's own shape; it asks nothing."""

    def batches(self) -> AsyncGenerator[Batch]: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows the other side will never take: their indices in the batch, what was sent, its own words."""

    rows: npt.NDArray[np.int64]
    sent: bytes
    reason: str


class Sink(Protocol):
    """Batches → outside world; idempotent on (series, time), so the same batch may come again.

    `write` returns the refusals (empty: all stored) or raises Unavailable: nothing is known of the batch,
    it will be offered again. It never drops and never retries by itself. `probe` raises Unavailable where `write`
    would, and writes nothing.
    """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def write(self, batch: Batch) -> Sequence[Refusal]: ...
    async def probe(self) -> None: ...
