"""What the user writes of Sparkplug B: the broker, and which metrics of which edge nodes and devices are read."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from config.protocols.mqtt import Broker
from config.strict import Name, Strict


class SparkplugPoint(Strict):
    """A metric by its name; a member of a template is `Metric/member`, an element of an array `Metric[0]`."""

    metric: Annotated[str, StringConstraints(min_length=1, max_length=1_024)]


class SparkplugConnection(Broker):
    """A host application on one broker; a device's address is `group/edge_node` or `group/edge_node/device`.

    It publishes nothing unless allowed: nodes bound to a primary host withhold their data until its STATE is online.
    """

    protocol: Literal["sparkplug"]
    host_id: Name | None = None  # of this host application
    publish_state: bool = False  # may STATE of `host_id` be published
    state_version: Literal[2, 3] = 3  # of Sparkplug whose nodes STATE is for; each has its own topic and words
    request_rebirth: bool = False  # may a node be asked (NCMD) for a new birth certificate
    reorder_s: Annotated[float, Field(ge=0.1, le=60)] = 2.0  # how long a message that is missing is waited for

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.publish_state and self.host_id is None:
            raise ValueError("publish_state: true needs 'host_id:', the name edge nodes know their primary host by")
        if self.state_version != 3 and not self.publish_state:
            raise ValueError("state_version: says in which words STATE is published; allow it with publish_state: true")
        return self


class SparkplugAddress(NamedTuple):
    """An edge node, or a device of it."""

    group: str
    node: str
    device: str  # empty: metrics of the node itself


def sparkplug_address(text: str) -> SparkplugAddress:
    """Return the parts of `group/edge_node[/device]`. Raises ValueError with a sentence."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts) or any(c in text for c in "+#\0"):
        raise ValueError(f"'{text}' is no Sparkplug address; write group/edge_node or group/edge_node/device")
    return SparkplugAddress(parts[0], parts[1], parts[2] if len(parts) == 3 else "")
