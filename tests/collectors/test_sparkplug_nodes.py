"""What is trusted of an edge node: order, loss, births and deaths, on times of the test's own."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sparkplug_nodes import EdgeNode, Known, Message, Sequence, Source
from collectors.sparkplug_payload import Metric, Payload, decode
from config.errors import Rejected
from pipeline.clock import SECOND_NS
from pipeline.gaps import Gap
from tests.collectors.sparkplug_parts import payload
from tests.interop import saw

CAPTURE = Path(__file__).parents[1] / "data" / "sparkplug" / "pcap_patterns.csv"
PATIENCE_NS = 2 * SECOND_NS
T0 = 1_700_000_000_000


class Ears:
    """Notes what an edge node tells."""

    def __init__(self) -> None:
        self.births: list[str] = []
        self.values: list[tuple[str, Any]] = []
        self.lost: list[tuple[str, Gap, str]] = []
        self.refused: list[str] = []

    def on_birth(self, source: Source, payload: Payload) -> None:
        self.births.append(source.device)

    def on_value(self, source: Source, known: Known, metric: Metric, payload: Payload) -> None:
        assert source.born
        assert source.metrics[known.name] is known
        if not metric.null:
            self.values.append((known.name, metric.typed.value))

    def on_lost(self, source: Source, cause: Gap, reason: str) -> None:
        self.lost.append((source.device, cause, reason))

    def on_refused(self, source: Source, reason: str) -> None:
        self.refused.append(reason)


class Rig:
    """An edge node with its device `line`, heard one message a millisecond unless said otherwise."""

    def __init__(self, *devices: str) -> None:
        self.ears = Ears()
        self.node = EdgeNode("Hall1/press", devices or ("", "line"), self.ears, PATIENCE_NS)
        self.now_ns = 0

    def hear(self, kind: Any, seq: int | None, *metrics: dict[str, Any], device: str = "", at: int = T0) -> None:
        self.now_ns += 1_000_000
        self.node.take(Message(kind, device, decode(payload(seq, *metrics, timestamp=at))), self.now_ns)

    def wait(self, ns: int) -> None:
        self.now_ns += ns
        self.node.watch(self.now_ns)


def value(number: float, alias: int = 7, name: str = "") -> dict[str, Any]:
    metric = {"datatype": 10, "double_value": number, "alias": alias}
    return metric | {"name": name} if name else metric


def bd_seq(number: int) -> dict[str, Any]:
    return {"name": "bdSeq", "datatype": 8, "long_value": number}


def born(*devices: str) -> Rig:
    rig = Rig(*devices)
    rig.hear("NBIRTH", 0, bd_seq(5), value(0.0, 7, "Power"))
    rig.hear("DBIRTH", 1, value(0.5, 8, "Speed"), device="line")
    rig.ears.values.clear()
    return rig


def test_the_capture_of_a_plant() -> None:
    with CAPTURE.open() as file:
        rows = [r for r in csv.DictReader(file) if r["edge_node_id"] == "702" and r["seq"]]
    assert len(rows) == 502
    sequence = Sequence(PATIENCE_NS)
    sequence.begin(int(rows[0]["seq"]))
    steps = skips = wraps = 0
    for before, row in itertools.pairwise(rows):
        seq = int(row["seq"])
        message = Message("NDATA", "", Payload(int(row["payload_timestamp"]), seq, ()))
        wraps += seq < int(before["seq"])
        came = list(sequence.take(message, 0))
        steps += came == [message]
        if not came:
            skips += 1
            assert sequence.overdue(PATIENCE_NS)
            sequence.begin(seq)
    assert (steps, skips, wraps) == (485, 16, 2)  # of the skips 14 are of one message, two of two
    told = f"{steps} steps of one, {skips} gaps, {wraps} times around"
    saw("Sparkplug B", "a plant's broker (capture, benthos-umh@acf99b9)", "sequence numbers of 502 messages", told)


def test_data_in_order_by_alias_and_by_name() -> None:
    rig = born()
    rig.hear("NDATA", 2, value(1.0))
    rig.hear("DDATA", 3, value(2.0, 8), device="line")
    rig.hear("NDATA", 4, {"name": "Power", "datatype": 10, "double_value": 3.0})
    rig.hear("NDATA", 5, {"alias": 7, "double_value": 4.0})  # the birth's data type holds
    assert rig.ears.values == [("Power", 1.0), ("Speed", 2.0), ("Power", 3.0), ("Power", 4.0)]
    assert not rig.ears.lost


def test_what_comes_out_of_order_waits_for_the_missing_one() -> None:
    rig = born()
    rig.hear("NDATA", 4, value(3.0))
    rig.hear("NDATA", 3, value(2.0))
    assert rig.ears.values == []
    rig.hear("NDATA", 2, value(1.0))
    assert rig.ears.values == [("Power", 1.0), ("Power", 2.0), ("Power", 3.0)]
    rig.wait(10 * PATIENCE_NS)
    assert not rig.ears.lost


def test_a_missing_message_ends_trust_after_a_while() -> None:
    rig = born()
    rig.hear("NDATA", 3, value(2.0))
    rig.wait(PATIENCE_NS // 2)
    assert rig.node.trusted
    rig.wait(PATIENCE_NS)
    assert not rig.node.trusted
    expected = "sequence number 2 is missing, 3 came"
    assert rig.ears.lost == [("", Gap.SEQUENCE, expected), ("line", Gap.SEQUENCE, expected)]
    rig.hear("NDATA", 2, value(9.0))
    rig.hear("DDATA", 4, value(9.0, 8), device="line")
    assert rig.ears.values == []
    assert rig.node.waiting
    rig.hear("NBIRTH", 0, bd_seq(5), value(5.0, 9, "Power"))
    assert not rig.node.waiting  # a device that is not there has no birth
    rig.hear("DBIRTH", 1, value(6.0, 7, "Speed"), device="line")
    assert not rig.node.waiting
    rig.hear("DDATA", 2, value(7.0, 7), device="line")
    assert rig.ears.values[-3:] == [("Power", 5.0), ("Speed", 6.0), ("Speed", 7.0)]


def test_an_unknown_alias_ends_trust() -> None:
    rig = born()
    rig.hear("NDATA", 2, value(1.0), value(1.0, 99))
    assert rig.ears.values == []  # nothing of a message that cannot be understood
    assert rig.ears.lost[0] == ("", Gap.SEQUENCE, "alias 99 is not in the birth certificate")


def test_the_alias_of_another_source_is_unknown() -> None:
    rig = born()
    rig.hear("DDATA", 2, value(1.0, 7), device="line")
    assert not rig.node.trusted


def test_a_name_that_was_not_born_is_refused_alone() -> None:
    rig = born()
    rig.hear("NDATA", 2, {"name": "New", "datatype": 10, "double_value": 1.0}, value(2.0))
    assert rig.ears.values == [("Power", 2.0)]
    assert rig.ears.refused == ["metric 'New' is not in the birth certificate"]


def test_a_death_counts_when_it_is_of_this_birth() -> None:
    rig = born()
    rig.hear("NDEATH", None, bd_seq(4))
    assert not rig.ears.lost
    assert rig.ears.refused == ["NDEATH with bdSeq 4 is passed over: the birth certificate has 5"]
    rig.hear("NDEATH", None, bd_seq(5))
    assert [(device, cause) for device, cause, _ in rig.ears.lost] == [("", Gap.STALE), ("line", Gap.STALE)]
    assert not rig.node.waiting  # nobody is there to be asked
    rig.hear("NDATA", 2, value(1.0))
    assert rig.ears.values == []
    assert rig.node.waiting  # somebody is


def test_the_death_of_a_device_is_its_own() -> None:
    rig = born()
    rig.hear("DDEATH", 2, device="line")
    assert [(device, cause) for device, cause, _ in rig.ears.lost] == [("line", Gap.STALE)]
    rig.hear("NDATA", 3, value(1.0))
    rig.hear("DDATA", 4, value(2.0, 8), device="line")
    assert rig.ears.values == [("Power", 1.0)]
    assert rig.ears.lost[-1][:2] == ("line", Gap.SEQUENCE)
    assert rig.node.waiting  # there is one that says so, so its birth was missed
    rig.hear("DBIRTH", 5, value(3.0, 8, "Speed"), device="line")
    assert rig.ears.values[-1] == ("Speed", 3.0)


def test_devices_nobody_wants_count_in_the_sequence() -> None:
    rig = born("line")
    rig.hear("DBIRTH", 2, value(1.0, 1, "Other"), device="else")
    rig.hear("NDATA", 3, value(1.0))
    rig.hear("DDATA", 4, value(2.0, 8), device="line")
    assert rig.ears.values == [("Speed", 2.0)]


@pytest.mark.parametrize("kind", ["NDATA", "DBIRTH"])
def test_a_message_without_a_number_ends_trust(kind: str) -> None:
    rig = born()
    rig.hear(kind, None, value(1.0), device="line" if kind == "DBIRTH" else "")
    assert not rig.node.trusted
    assert "without a sequence number" in rig.ears.lost[0][2]


def test_one_alias_for_two_metrics_is_no_birth() -> None:
    rig = Rig("")
    rig.hear("NBIRTH", 0, value(1.0, 7, "A"), value(2.0, 7, "B"))
    assert rig.ears.values == []
    assert rig.ears.lost == [("", Gap.MALFORMED, "its birth certificate gives alias 7 to two metrics")]


def test_no_more_is_held_than_can_be() -> None:
    rig = born()
    rig.hear("NDATA", 3, value(1.0))
    rig.hear("NDATA", 3, value(1.0))  # nobody reorders by 256
    assert not rig.node.trusted
    sequence = Sequence(PATIENCE_NS)
    large = (b"x" * (9 << 20),)
    assert list(sequence.take(Message("NDATA", "", Payload(0, 5, large)), 0)) == []
    with pytest.raises(Rejected, match="is missing"):
        list(sequence.take(Message("NDATA", "", Payload(0, 6, large)), 0))


def test_a_message_that_a_birth_has_overtaken_is_passed_over() -> None:
    rig = born()
    rig.hear("NBIRTH", 0, bd_seq(5), value(0.0, 8, "Power"), value(0.0, 7, "Other"), at=T0 + 100)
    rig.ears.values.clear()
    rig.hear("NDATA", 1, value(1.0), at=T0 + 99)
    assert rig.ears.values == []
    rig.hear("NDATA", 1, value(2.0), at=T0 + 101)
    assert rig.ears.values == [("Other", 2.0)]
    rig.wait(2 * PATIENCE_NS)
    rig.hear("NDATA", 2, value(3.0), at=T0)  # its clock was set back
    assert rig.ears.values[-1] == ("Other", 3.0)


# Each message of a life of births and data is heard, lost, sent twice, or comes some places later.
fates = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 0, 0, 1, 2])), min_size=5, max_size=80)


@settings(max_examples=300)
@given(fates=fates, data=st.data())
def test_no_value_is_ever_taken_for_another_metric(fates: list[tuple[int, int]], data: st.DataObject) -> None:
    """Values carry the metric they are of; each birth gives the aliases anew, so a wrong one would show."""
    rig = Rig("")
    waiting: list[tuple[int, int, Any, int, tuple[dict[str, Any], ...], int]] = []
    seq, shift, sent_at = 0, 0, T0
    lost_since_birth = False
    for place, (what, late) in enumerate(fates):
        sent_at += 1
        if what == 0 or place == 0:
            seq, shift = 0, data.draw(st.integers(0, 2))
            metrics = tuple(value(float(n), (n + shift) % 3, f"m{n}") for n in range(3))
            message = ("NBIRTH", 0, metrics, sent_at)
            late = 0  # what overtakes its own birth cannot be told from what is of the birth before
        else:
            seq = (seq + 1) % 256
            number = data.draw(st.integers(0, 2))
            message = ("NDATA", seq, (value(float(number), (number + shift) % 3),), sent_at)
        if what == 1 and place:
            lost_since_birth = True
            continue
        if message[0] == "NBIRTH":
            lost_since_birth = False
        waiting.append((place + late, place, *message))
        waiting.sort(key=lambda entry: (entry[0], entry[1]))
        while waiting and waiting[0][0] <= place:
            _, _, kind, number, metrics, at = waiting.pop(0)
            before = len(rig.ears.values)
            rig.hear(kind, number, *metrics, at=at)
            assert all(name == f"m{int(told)}" for name, told in rig.ears.values[before:])
    if lost_since_birth:
        rig.wait(PATIENCE_NS)
        rig.hear("NDATA", (seq + 1) % 256, value(0.0, shift), at=sent_at + 1)
        rig.wait(PATIENCE_NS)
        told = len(rig.ears.values)
        assert not rig.node.trusted
        rig.hear("NDATA", (seq + 2) % 256, value(0.0, shift), at=sent_at + 2)
        assert len(rig.ears.values) == told
