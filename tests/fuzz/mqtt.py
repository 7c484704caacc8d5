"""MQTT payloads in every form a point can have: rows of numbers or of none (NaN), or dead letters with a reason."""

from __future__ import annotations

from typing import Final

import numpy as np

from collectors.mqtt import MqttCollector
from config.protocols.mqtt import MqttConnection
from pipeline.counters import Counters
from tests.collectors.driving import ids_of, origin
from tests.collectors.test_mqtt_forms import FORMS, meter

LARGEST: Final = 1_500
_MORE: Final = [{"path": "a.b.0.c", "time_path": "t", "time_format": "ns", "text": "decimal_comma"}]
_METERS: Final = [meter(form) for form in [*FORMS, *_MORE]]
_SAID: Final = MqttConnection.model_validate({"protocol": "mqtt", "host": "broker"})


def target(data: bytes) -> None:
    """The first byte chooses the form, the rest is the payload."""
    if not data:
        return
    device = _METERS[data[0] % len(_METERS)]
    collector = MqttCollector(origin(), _SAID, [device], ids_of([device]), Counters())
    collector._accept("works/meter", data[1:], data[0] >= 250)
    batch = collector._rows.take()
    assert len(batch.value) <= 20_000
    assert not np.isinf(batch.value).any()
    assert all(len(reject.reason) < 1_000 for reject in batch.rejects)
