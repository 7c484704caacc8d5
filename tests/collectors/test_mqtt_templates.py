"""Every MQTT template against messages devices have sent."""

from __future__ import annotations

import pytest

from collectors.mqtt_payload import compile_path, decode, find, number_reader
from config.points import Template
from config.templates import load_all
from tests.pinned import canonical, vectors

TEMPLATES = {name: t for name, t in load_all().items() if t.protocol == "mqtt"}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_messages_mean_what_others_say(template: Template) -> None:
    pinned = vectors(template.id)
    assert {name for v in pinned for name in v.expected} == set(template.points), "each point needs a message"
    for vector in pinned:
        document = decode(vector.message)
        for name, (value, unit) in vector.expected.items():
            point = template.points[name]
            assert point.mqtt is not None
            assert value is not None
            raw = number_reader(point.mqtt.text)(find(document, compile_path(point.mqtt.path or "")))
            found = canonical(point, point.sign * point.scale * raw + point.offset, point.unit)
            assert found == pytest.approx(canonical(point, value, unit)), f"{name}: {vector.source}"
