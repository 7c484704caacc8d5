"""A checked configuration → a running gateway: composes log, collectors, stages, sinks and history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from carbon.accountant import Accountant
from carbon.books import Books
from carbon.live.feed import COMPONENT, LONGEST_S, IntensityFeed, intensity_key
from carbon.publish import Publisher
from config.bindings import BoundDevice
from config.components import components
from config.errors import Unavailable
from config.model import Gateway as Config
from pipeline.alerts.context import Context
from pipeline.archive import Archivist
from pipeline.batch import make
from pipeline.clock import Clock
from pipeline.consume import Consumer, Stage
from pipeline.counters import Board
from pipeline.deliver import Delivery
from pipeline.desk import desk
from pipeline.desk.desk import Desk
from pipeline.gaps import Gap, gap_key
from pipeline.heartbeat import TICK_KEY, Heartbeat
from pipeline.ingest import Ingest
from pipeline.latest import Latest
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log
from pipeline.ports import Origin
from pipeline.quality import BAD, COMM
from pipeline.room import Room
from pipeline.series import SeriesTable
from pipeline.supervise import supervise
from pipeline.trust import CLOCK_KEY, watch
from sinks.history import History
from sinks.notify.sender import Sender
from tanflow import alerting, last_figures, registry, revision
from tanflow.account import Account
from tanflow.costs import Costs
from tanflow.exchanges import settle_hourly
from tanflow.ground import Ground
from tanflow.loop_lag import LoopLag
from tanflow.source import Source
from tanflow.stages import stages
from tanflow.tasks import cancel, end, start

_HOLD_S: Final = 30.0  # how long commits under way may take before the sources are held
_DRAIN_S: Final = 10.0  # how long a stop waits for those who follow; what is left is delivered at the next start
_GLANCE_S: Final = 0.02
_BACKOFF_MAX_S: Final = 60.0
_STAMPED_HERE: Final = ("modbus", "dlt645")  # protocols whose readings carry no time of their own
_QUESTIONS_AT_ONCE: Final = 2  # each may hold a million rows in memory

Work = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Gateway:
    """One running gateway. `run` reads and passes on until stopped; what is accepted by then is on disk."""

    config: Config
    devices: list[BoundDevice]
    table: SeriesTable
    books: Books
    ground: Ground
    lag: LoopLag = field(default_factory=LoopLag)
    accepting: asyncio.Event = field(default_factory=asyncio.Event)
    ingests: dict[str, Ingest] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    consumers: list[Consumer] = field(default_factory=list)
    beside: dict[str, Work] = field(default_factory=dict)  # what else runs as long as the gateway: its API
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_QUESTIONS_AT_ONCE))
    clock: Clock = field(init=False)
    directory: DataDirectory = field(init=False)
    log: Log = field(init=False)
    history: History = field(init=False)
    board: Board = field(init=False)
    context: Context = field(init=False)  # its figures and alerts
    account: Account = field(init=False)  # the ledger and what is not booked yet, for those who ask
    accountant: Accountant = field(init=False)
    publisher: Publisher = field(init=False)
    desk: Desk = field(init=False)
    costs: Costs = field(init=False)  # what the excess of an alert costs
    senders: dict[str, Sender] = field(default_factory=dict)  # by channel
    archivist: Archivist = field(init=False)
    latest: Latest = field(init=False)
    room: Room = field(init=False)
    heartbeat: Heartbeat = field(init=False)

    def __post_init__(self) -> None:
        ground = self.ground
        self.clock, self.directory, self.board = ground.clock, ground.directory, ground.board
        self.log, self.history = ground.log, ground.history
        self.accepting.set()
        self.latest = Latest(len(self.table))
        self.account = Account(self.directory.path)
        self.ingests = {name: self._ingest(name) for name in self.config.connections}
        self.sources = {name: self._source(name) for name in self.config.connections}
        self.context = Context.of(self.config, self.devices, self.table.ids)
        self.consumers = [self._consumer(stage) for stage in stages(self.context)]
        self.deliveries = {name: self._delivery(name) for name in self.config.sinks}
        self._account()
        self.desk = alerting.desk(self.context, self.log, self.board.component("desk"))
        self.costs = Costs(self.config, self.table)
        self.senders = alerting.senders(self.config, self.desk, self.costs.of, self.board)
        history = self.config.data.history
        component = self.board.component("history")
        self.archivist = Archivist(self.log, self.history, self.clock, component, history.cut_s, history.cut_rows)
        self.room = Room(
            self.log,
            self.directory,
            [self._local_floor],
            [(d, self.config.sinks[name].keep) for name, d in self.deliveries.items()],
            self.accepting,
            self.config.data.min_free_mb,
            self.clock,
            self.board.component("log"),
        )
        self.heartbeat = Heartbeat(
            self.log, self.clock, self.board, self.table.revision, self.table.ids, components(self.config)
        )

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    def _ingest(self, name: str) -> Ingest:
        counters = self.board.component(f"collector.{name}")
        stamps = self.config.connections[name].protocol in _STAMPED_HERE
        return Ingest(self.log, self.table, name, self.clock, counters, self.accepting, stamps)

    def _source(self, name: str) -> Source:
        origin = Origin(name, self.table.revision, self.clock, self.directory.path)
        devices = [d for d in self.devices if d.device.connection == name]
        return Source(origin, self.config.connections[name], devices, self.table.ids, self.ingests[name])

    def _consumer(self, stage: Stage) -> Consumer:
        counters = self.board.component(f"stage.{stage.name}")
        return Consumer(self.log, stage, self.clock, self.table.revision, counters)

    def _delivery(self, name: str) -> Delivery:
        config, counters = self.config.sinks[name], self.board.component(f"sink.{name}")
        sink = registry.sink(name, config, revision.with_retired(self.log, self.table), counters)
        return Delivery(name, self.log, sink, self.clock, counters, config.batch_rows, config.backoff_max_s)

    def _account(self) -> None:
        ids = self.table.ids
        stream_of = np.full(len(self.table), -1, np.int32)
        for number, stream in enumerate(self.books.streams.values()):
            if stream.series:
                stream_of[ids[stream.series]] = number
        counters = self.board.component("ledger")
        intensity = ids.get(intensity_key(self.config), -1) if self.config.factors.live else -1
        self.accountant = Accountant(
            self.log, self.ground.ledger, self.books, stream_of, ids[TICK_KEY], counters, intensity
        )
        counters = self.board.component("publisher")
        self.publisher = Publisher(self.log, self.ground.booked, ids, self.clock, self.table.revision, counters)

    def _local_floor(self) -> int:
        """Return the position passed by all local readers: history, ledger, stages, desk and connections' snapshots."""
        reader = self.log.reader
        rows = reader.query("SELECT connection, position FROM snapshots")
        snapshots = {str(c): int(str(p)) for c, p in rows}
        held = [snapshots.get(name, 0) for name in self.ingests]
        local = [self.history.cursor, self.accountant.kept, reader.cursor(desk.CURSOR).position]
        return min([*local, *held, *(reader.cursor(c.stage.name).position for c in self.consumers)])

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    async def recover(self, before: revision.Stored) -> None:
        """Bring all state to the end of the log, under the revision it was written with."""
        if self.table.revision == before.number:
            revision.recover(self.log, self.ingests)
        else:
            await revision.adopt(self.log, self.table, before, self.config.dump(), self.clock, self.ingests)

    def adopt(self, sources: Mapping[str, Source]) -> None:
        """Let the sources of the last gateway that still read go on, their batches accepted by this one."""
        for name, source in sources.items():
            if source.is_reading:
                source.go_on(self.ingests[name])
                self.sources[name] = source

    async def tell_downtime(self, names: Iterable[str], since_ns: int) -> None:
        """Accept a gap row for each device of some connections that nobody asked since then; a broker keeps what came.

        Where the clock is not trusted nobody knows how long that was.
        """
        now_ns = self.clock.now_ns()
        for name in names:
            connection = self.config.connections[name]
            keys = [gap_key(d.asset_name, d.name) for d in self.devices if d.device.connection == name]
            if keys and connection.protocol != "mqtt" and self.clock.trusted:
                header = Origin(name, self.table.revision, self.clock).header()
                series = [self.table.ids[key] for key in keys]
                rows = make(header, now_ns, series, float(Gap.STOPPED), BAD | COMM, now_ns - since_ns)
                await self.ingests[name].accept(rows)

    async def hold(self) -> None:
        """Accept nothing more while the sources read on; raises Unavailable, and goes on, when commits do not end."""
        held: list[Source] = []
        try:
            async with asyncio.timeout(_HOLD_S):
                for source in self.sources.values():
                    await source.hold()
                    held.append(source)
        except TimeoutError:
            for source in held:
                source.go_on(source.ingest)
            raise Unavailable("what was read cannot be committed now; see tanflow status") from None

    async def run(self, stop: asyncio.Event, turn: asyncio.Event | None = None) -> None:
        """Run until `stop` is set, then stop in order: sources, stages, sinks, history. Raises LogFailed.

        When `turn` is set it returns with its sources, held before, still reading for the gateway that takes over.
        """
        for source in self.sources.values():
            if source.task is None:
                source.begin()
        beat = start("heartbeat", self._supervised("heartbeat", self.heartbeat.run))
        followers = [start(name, work) for name, work in self._followers().items()]
        ends = [start("stop", stop.wait()), *([start("turn", turn.wait())] if turn else [])]
        reading = [s.task for s in self.sources.values() if s.task is not None]
        try:
            done, _ = await asyncio.wait([*ends, *reading, beat, *followers], return_when=asyncio.FIRST_COMPLETED)
            for task in done.difference(ends):
                task.result()  # nothing here ends by itself but by a failed log, which is raised
            if stop.is_set():
                await self.heartbeat.beat(counters=True)  # while the sources still say how they are
                await end([*reading, beat])
                await self._finish()
            else:  # whoever takes over goes on where each has come to; nothing is waited for while the sources are held
                await end([beat])
        except BaseException:
            await end([*reading, beat])
            raise
        finally:
            await cancel([*ends, *followers])
        if stop.is_set():
            await self.archivist.cut()
        else:
            await self._checkpoint()
            await self.log.flushed()  # what a follower was just writing is there before the next one looks

    async def _finish(self) -> None:
        """With the sources silent: keep the state, and let everyone who follows the log come to its end."""
        await self._checkpoint()
        await self._reach(self.consumers)
        await self._reach([self.desk, self.accountant])
        await self.accountant.checkpoint()
        await self.publisher.step()
        await self._reach(self.deliveries.values())

    async def _checkpoint(self) -> None:
        await asyncio.gather(*(ingest.checkpoint() for ingest in self.ingests.values()))  # one commit for all

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(self.config.data.snapshot_s)
            await self._checkpoint()

    async def _reach(self, followers: Iterable[Consumer | Desk | Accountant | Delivery]) -> None:
        deadline = asyncio.get_running_loop().time() + _DRAIN_S
        for follower in followers:
            while self.log.read(follower.position, 1) and follower.counters.state != "down":
                if asyncio.get_running_loop().time() > deadline:
                    return
                self.log.hurry()
                await asyncio.sleep(_GLANCE_S)

    def _followers(self) -> dict[str, Coroutine[Any, Any, None]]:
        work: dict[str, Work] = {
            "latest": lambda: last_figures.follow(self.latest, self.log, self.history, self.table, self.clock),
            "history": self.archivist.run,
            "ledger": self.accountant.run,
            "publisher": self.publisher.run,
            "desk": self.desk.run,
            "log": self.room.run,
            "clock": lambda: watch(self.log, self.clock, self.table.ids[CLOCK_KEY], self.board.component("clock")),
            "loop": self.lag.run,
            "snapshots": self._checkpoints,
            "exchanges": lambda: settle_hourly(self.books, self.directory.path, self.clock),
        }
        work |= {f"stage.{c.stage.name}": c.run for c in self.consumers}
        work |= {f"sink.{name}": d.run for name, d in self.deliveries.items()}
        work |= {f"notify.{name}": s.run for name, s in self.senders.items()}
        work |= self.beside
        live = {COMPONENT: self._live_factors()} if self.config.factors.live else {}
        return {name: self._supervised(name, run) for name, run in work.items()} | live

    async def _live_factors(self) -> None:
        live = self.config.factors.live
        assert live is not None  # asked for only where there is one
        counters, series = self.board.component(COMPONENT), self.table.ids[intensity_key(self.config)]
        feed = IntensityFeed(live, self.log, self.clock, series, self.table.revision, counters)
        await supervise(COMPONENT, feed.run, counters, LONGEST_S)

    async def _supervised(self, name: str, work: Work) -> None:
        await supervise(name, work, self.board.component(name), _BACKOFF_MAX_S)
