"""A changed configuration file → the gateway made anew around the sources that read as before; a wrong one → words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from config.errors import ConfigError, GatewayError
from config.load import Loaded, load, located
from pipeline.clock import SECOND_NS
from pipeline.log.writer import LogFailed
from tanflow.checking import check_more
from tanflow.gateway import Gateway
from tanflow.opening import compose
from tanflow.planned import Planned
from tanflow.source import Source

logger = logging.getLogger("tanflow.reload")

FILE: Final = "reload.json"  # in the data directory: what came of the last one


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload: `problems` say why nothing changed; else which connections were touched."""

    at_ns: int
    problems: Sequence[str] = ()
    revision: int = 0
    began: Sequence[str] = ()  # connections that are new, or read in another way
    ended: Sequence[str] = ()
    kept: Sequence[str] = ()  # went on reading all the while
    held_s: float = 0.0  # how long what was read had to wait

    def sentence(self) -> str:
        """Return it in words."""
        if self.problems:
            return "nothing was changed: " + "; ".join(self.problems)
        parts = [("began", self.began), ("ended", self.ended), ("went on undisturbed", self.kept)]
        told = [f"{', '.join(names)} {what}" for what, names in parts if names]
        return f"configuration {self.revision} is in force" + (": " + "; ".join(told) if told else "")

    def save(self, directory: Path) -> None:
        """Write it where `tanflow reload` waits for it; whole or not at all."""
        draft = directory / f"{FILE}.new"
        draft.write_bytes(orjson.dumps(self))
        draft.replace(directory / FILE)

    @classmethod
    def last(cls, directory: Path) -> Outcome | None:
        """Return what became of the last reload; None: there was none yet, or the file is no answer of a gateway."""
        try:
            return cls(**orjson.loads((directory / FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(slots=True)
class Reload:
    """Follows one configuration file: `wanted` is set by whoever asks for a reload."""

    loaded: Loaded  # what is in force
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _next: tuple[Loaded, Planned] | None = None
    _held_ns: int = 0  # since when nothing is accepted

    async def watch(self, gateway: Gateway, turn: asyncio.Event) -> None:
        """Set `turn`, with the gateway's sources held, once a reload is wanted and its configuration can run."""
        while not turn.is_set():
            await self.wanted.wait()
            self.wanted.clear()
            try:
                self._next = await asyncio.to_thread(self._read)  # aside: the plant is read meanwhile
                self._held_ns = gateway.clock.now_ns()
                await gateway.hold()
            except Exception as error:  # noqa: BLE001  whatever is wrong with the new one, the old one goes on
                self._tell(gateway, Outcome(gateway.clock.now_ns(), _words(error)))
            else:
                turn.set()

    async def follow(self, last: Gateway) -> Gateway:
        """Return the gateway that takes over from one whose sources are held."""
        assert self._next is not None, "watch has set turn"
        loaded, planned = self._next
        await _end_changed(last.sources, planned)
        problems: Sequence[str] = ()
        try:
            gateway = await compose(last.ground, planned, last.sources)
            self.loaded = loaded
        except LogFailed:
            raise
        except Exception as error:  # noqa: BLE001  as above
            problems, old = _words(error), self.loaded
            gateway = await compose(last.ground, Planned.of(old.gateway, old.templates), last.sources)
        await self._settle(last, gateway, problems)
        return gateway

    async def _settle(self, last: Gateway, gateway: Gateway, problems: Sequence[str]) -> None:
        """Account for the time in which what was begun anew read nothing, and tell what has become of it."""
        before, now = last.sources, gateway.sources
        kept = [name for name in now if now[name] is before.get(name)]
        began = [name for name in now if name not in kept]
        await gateway.tell_downtime([name for name in began if name in before], self._held_ns)
        ended = [name for name in before if name not in now]
        now_ns = gateway.clock.now_ns()
        held_s = round((now_ns - self._held_ns) / SECOND_NS, 3)
        self._tell(gateway, Outcome(now_ns, problems, gateway.table.revision, began, ended, kept, held_s))

    def _read(self) -> tuple[Loaded, Planned]:
        """Return the configuration the file holds now; raises ConfigError for one that cannot run, or not at once."""
        loaded = load(self.loaded.path)
        for warning in loaded.warnings:
            logger.warning("%s", warning)
        planned = check_more(loaded)
        if loaded.gateway.data != self.loaded.gateway.data:
            raise ConfigError(located(loaded.path, [(("data",), "is changed; that takes a restart of the gateway")]))
        return loaded, planned

    def _tell(self, gateway: Gateway, outcome: Outcome) -> None:
        (logger.error if outcome.problems else logger.info)("%s", outcome.sentence())
        try:
            outcome.save(gateway.directory.path)
        except OSError as error:
            logger.warning("what came of the reload cannot be written: %s", error)


async def _end_changed(sources: Mapping[str, Source], planned: Planned) -> None:
    """End the sources a configuration has no more, or reads in another way: what they hold open is free then."""
    for name, source in sources.items():
        connection = planned.config.connections.get(name)
        devices = [d for d in planned.devices if d.device.connection == name]
        if connection is None or not source.reads(connection, devices):
            await source.end()


def _words(error: Exception) -> list[str]:
    """Return what is wrong in sentences; a defect is told with its traceback beside."""
    if not isinstance(error, GatewayError):
        logger.error("the new configuration cannot be opened", exc_info=error)
    return [str(p) for p in error.problems] if isinstance(error, ConfigError) else [str(error) or type(error).__name__]
