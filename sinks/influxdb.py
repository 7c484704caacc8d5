"""Batches → InfluxDB 1.x or 2.x as wide lines; what the server will never take comes back as refusals in its words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from config.errors import GatewayError, Unavailable
from config.model import InfluxSink as Config
from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.ports import Refusal
from pipeline.series import SeriesTable
from sinks.influxdb_api import Answer, Api, connect
from sinks.line_protocol import QUALITY_SUFFIX, Encoder, Lines, Rows

log = logging.getLogger("tanflow.sinks.influxdb")


class InfluxSink:
    """A database as a sink; idempotent, because a point of the same series and time replaces the former one.

    Encoding and HTTP run in one thread of their own, so a slow server never holds the event loop. Every value is a
    float and every quality (`<field>_q`) an integer, so a field's type never depends on what was written first.
    """

    def __init__(self, name: str, config: Config, table: SeriesTable, counters: Counters) -> None:
        self._name = name
        self._config = config
        self._table = table
        self._counters = counters
        self._encoder = Encoder(table)
        self._api: Api | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._closing = False
        self._unstorable = False

    @property
    def target(self) -> str:
        """Where it writes, as a person would name it."""
        config = self._config
        store = f"database '{config.database}'" if config.api == "v1" else f"bucket '{config.bucket}'"
        return f"{store} at {config.url}"

    async def __aenter__(self) -> Self:
        self._closing = False
        self._thread = ThreadPoolExecutor(1, f"influxdb-{self._name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._thread is not None:
            # A request on its way ends by its own deadline; what it stores is stored again later, to no effect.
            self._thread.submit(self._disconnect)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def write(self, batch: Batch) -> Sequence[Refusal]:
        """Store the batch; returns what was refused, raises Unavailable when the whole batch must come again."""
        assert self._thread is not None, "the sink is not open"
        try:
            refusals = await asyncio.get_running_loop().run_in_executor(self._thread, self._store, batch)
        except Unavailable as error:
            self._counters.links[self.target] = str(error)
            raise
        self._counters.links[self.target] = ""
        return refusals

    async def probe(self) -> None:
        """Ask the database whether it would store something, and store nothing; raises Unavailable with the reason."""
        assert self._thread is not None, "the sink is not open"
        await asyncio.get_running_loop().run_in_executor(self._thread, self._post, b"")

    # ── in the thread ─────────────────────────────────────────────────────────────────────────────

    def _store(self, batch: Batch) -> list[Refusal]:
        """Store what can be stored; the search for the rest ends by itself, after about two requests a bad line."""
        whole = self._encoder.encode(batch)
        refusals = self._unknown(batch, whole)
        todo = [whole] if len(whole) else []
        while todo:
            lines = todo.pop()
            answer = self._post(lines.payload)
            if answer.stored:
                continue
            parts = self._split(batch, lines, answer)
            if not parts:
                refusals.append(Refusal(lines.rows, lines.payload.rstrip(b"\n"), answer.words))
            todo += [self._part(batch, rows) for rows in parts]
        self._note_unstorable(whole.unstorable)
        return refusals

    def _part(self, batch: Batch, rows: Rows) -> Lines:
        lines = self._encoder.encode(batch.take(rows))
        return Lines(lines.payload, rows[lines.rows], lines.ends, lines.unstorable, lines.unknown)

    def _post(self, payload: bytes) -> Answer:
        """Return the answer if it is about the data; raises Unavailable for everything else."""
        if self._closing:
            raise Unavailable(f"{self.target} is being closed")
        try:
            self._api = self._api or connect(self._config)
        except GatewayError as error:
            raise Unavailable(f"{self.target}: {error}") from error
        answer = self._api.post(payload)
        if answer.stored or answer.refused:
            return answer
        if answer.status in (401, 403):
            self._disconnect()  # so that a renewed secret is read at the next attempt
        said = f" ({answer.words})" if answer.words else ""
        words = f"{self.target} answers {answer.status}{said}; {self._advice(answer)}"
        raise Unavailable(words, answer.after_s, lasting=answer.status in (401, 403, 404))

    def _disconnect(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            api.close()

    def _advice(self, answer: Answer) -> str:
        config = self._config
        v1 = config.api == "v1"
        if answer.status == 401:
            return "check username: and password:" if v1 else "check token:"
        if answer.status == 403:
            return f"give {'the user' if v1 else 'the token'} the right to write there"
        if answer.status == 404:
            create = f'CREATE DATABASE "{config.database}"' if v1 else f"bucket '{config.bucket}' in '{config.org}'"
            return f"create it ({create}), or correct the name or url:"
        if "retention policy not found" in answer.words:
            return f"create retention policy '{config.retention_policy}', or correct retention_policy:"
        if answer.status == 429 or answer.status >= 500:
            return "the server is busy or in trouble; it is tried again"
        return "this is not how InfluxDB answers a write: check that url: is the database itself"

    def _split(self, batch: Batch, lines: Lines, answer: Answer) -> list[Rows]:
        """Return the rows in parts that narrow down what is refused; none when all of it is.

        A type conflict names its field: that field is set apart from the rest, whose lines then pass. Everything else
        is halved: lines first, then the fields of one line.
        """
        rows = lines.rows
        series = batch.series[rows]
        culprit = np.isin(series, self._fields_of(answer))
        alone = answer.conflict is None or culprit.all()
        if alone and answer.dropped == len(lines):
            return []
        if culprit.any() and not culprit.all():
            return [rows[culprit], rows[~culprit]]
        if len(lines) > 1:
            cut = int(lines.ends[len(lines) // 2 - 1])
        elif len(rows) > 1:
            cut = len(rows) // 2
        else:
            return []
        return [rows[cut:], rows[:cut]]

    def _fields_of(self, answer: Answer) -> list[int]:
        if answer.conflict is None:
            return []
        measurement, field = answer.conflict
        names = (field, field.removesuffix(QUALITY_SUFFIX.decode()))
        return [
            series
            for series, spec in enumerate(self._table.specs)
            if spec and spec.like.measurement == measurement and spec.like.field in names
        ]

    def _unknown(self, batch: Batch, lines: Lines) -> list[Refusal]:
        if not len(lines.unknown):
            return []
        ids = ", ".join(map(str, np.unique(batch.series[lines.unknown])[:10]))
        return [Refusal(lines.unknown, b"", f"series not in this configuration (ids {ids}): no measurement or field")]

    def _note_unstorable(self, rows: int) -> None:
        self._counters.bad += rows
        if bool(rows) != self._unstorable:
            self._unstorable = bool(rows)
            if rows:
                log.warning("%s: values that are not numbers cannot be stored; their quality is", self._name)
            else:
                log.info("%s: all values are numbers again", self._name)
