"""The plan of a revision: every series with its arithmetic, and the factor timelines they use."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.model import Gateway
from pipeline.factors import FactorTimeline
from pipeline.spec import Like
from pipeline.spec_list import SpecList

Tags = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Plan:
    """All series of a revision, and the timelines by name."""

    specs: SpecList = field(default_factory=SpecList)
    factors: dict[str, FactorTimeline] = field(default_factory=dict)
    grid: str = ""  # name of the grid's timeline
    rules: bytes = b""  # what else decides on rows: windows, alerts and the site's hours, as JSON
    shared: dict[Like, Like] = field(default_factory=dict)
    alike: dict[tuple[object, ...], Like] = field(default_factory=dict)  # what points that differ only by device share
    written: dict[int, bytes] = field(default_factory=dict)  # places of points, by their ids

    def share(self, like: Like) -> Like:
        """Return the one object that stands for all equal to it."""
        return self.shared.setdefault(like, like)

    def add(self, timeline: FactorTimeline) -> str:
        """Add a timeline and return its name."""
        self.factors[timeline.name] = timeline
        return timeline.name


def tags_of(gateway: Gateway, **tags: str) -> Tags:
    """Return the tags of a series, by their names, the site's among them; empty ones are left out."""
    return tuple(sorted({"site": gateway.site.name, **{k: v for k, v in tags.items() if v}}.items()))
