"""What is written of DL/T 645 points: the standard's forms, as the peer's tables have them too, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from dlt645.model.data.define import DIMap
from pydantic import ValidationError

from config.protocols.dlt645 import Dlt645Connection, Dlt645Point, dlt645_address
from config.protocols.dlt645_items import standard_form
from config.templates import load_all


def test_every_number_the_peer_knows_has_the_same_format_here() -> None:
    """Energies, demands and variables; not its parameters and events, and not what is no number."""
    compared = 0
    for identifier, item in DIMap.items():
        form = standard_form(f"{identifier:08X}")
        if identifier >> 24 > 2 or form is None:
            continue
        assert form.text == item.data_format, f"{identifier:08X} {item.name}"
        compared += 1
    assert compared > 3_000


@pytest.mark.parametrize("name", ["dlt645_three_phase", "dlt645_single_phase"])
def test_templates_name_what_the_peer_calls_the_same(name: str) -> None:
    words = {
        "energy_import": "正向有功总电能",
        "energy_export": "反向有功总电能",
        "power": "瞬时总有功功率",
        "voltage_l1_n": "A相电压",
        "current_l1": "A相电流",
        "power_factor": "总功率因数",
        "frequency": "电网频率",
    }
    points = load_all()[name].points
    for point, called in words.items():
        place = points[point].dlt645
        assert place is not None
        assert DIMap[int(place.data, 16)].name.endswith(called)
    for point_name, point in points.items():
        assert point.dlt645 is not None
        peer = DIMap[int(point.dlt645.data, 16)]
        if point.quantity != "power_factor":  # the peer gives it kW
            assert peer.unit.strip() == point.unit, point_name


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"data": "04000101"}, "not in the standard's tables; say its format"),
        ({"data": "02010100", "format": "XXX"}, "odd number of digits"),
        ({"data": "0201FF00"}, "answers with several values; say which, e.g. item: 0"),
        ({"data": "05060101"}, "answers with several values"),
        ({"data": "02010100", "item": 1}, "answers with one value"),
        ({"data": "0201010"}, "should match pattern"),
    ],
)
def test_what_cannot_be_read_is_told(place: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Dlt645Point(**place)


def test_forms_may_deviate_from_the_standard() -> None:
    own = Dlt645Point(data="02A30000", format="XXXX.XXXX", signed=True)
    assert (own.size, own.decimals, own.form.signed, own.counts_to) == (4, 4, True, 10_000)
    assert Dlt645Point(data="02030000", signed=False).form.signed is False
    assert Dlt645Point(data="00010000").counts_to == 1_000_000


def test_seven_data_bits_are_refused() -> None:
    with pytest.raises(ValidationError, match="needs characters of 8 data bits"):
        Dlt645Connection.model_validate({"protocol": "dlt645", "serial": {"data_bits": 7}})


def test_addresses() -> None:
    assert dlt645_address("192.168.1.20:8899/161") == ("192.168.1.20", 8899, "000000000161")
    assert dlt645_address("123456789012") == ("", 0, "123456789012")
    with pytest.raises(ValueError, match="is no DL/T 645 address"):
        dlt645_address("AAAAAAAAAAAA")
