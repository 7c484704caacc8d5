"""What the desk knows, and its bytes: what stands in the state of its cursor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import orjson

from pipeline.desk.episode import Episode
from pipeline.desk.silences import Silence


@dataclass(slots=True)
class Known:
    """All the desk knows; its values are immutable, so that a copy is shallow.

    open: episode id → episode · silences: id → silence · before: asset.name of a pending alert → latest value, limit
    and excess · told: episode id → what was told of it · over: ended episodes that a silence keeps from being told ·
    now_ns: latest tick · next_ns: when there is something to be looked at.
    """

    open: dict[str, Episode] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    before: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    told: dict[str, dict[str, int]] = field(default_factory=dict)
    over: dict[str, Episode] = field(default_factory=dict)
    now_ns: int = 0
    next_ns: int = 0

    def copy(self) -> Self:
        return replace(
            self, open=dict(self.open), silences=dict(self.silences), before=dict(self.before), told=dict(self.told),
            over=dict(self.over),
        )  # fmt: skip

    def dump(self) -> bytes:
        silences = [s.to_json() for s in self.silences.values()]
        episodes = {"open": list(self.open.values()), "over": list(self.over.values())}
        return orjson.dumps(
            {**episodes, "silences": silences, "before": self.before, "told": self.told, "now_ns": self.now_ns}
        )

    @classmethod
    def load(cls, stored: bytes) -> Self:
        """Return what was stored; everything is looked at once more, for the configuration may be another."""
        if not stored:
            return cls()
        data = orjson.loads(stored)
        episodes = [{e["id"]: Episode.from_json(e) for e in data[name]} for name in ("open", "over")]
        silences = {s["id"]: Silence.from_json(s) for s in data["silences"]}
        return cls(episodes[0], silences, data["before"], data["told"], episodes[1], data["now_ns"])
