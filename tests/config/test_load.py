"""Configurations that are right load; whatever is done to one, nothing but ConfigError is raised."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from config.bindings import bind
from config.errors import ConfigError
from config.load import Loaded, load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
SECRET = "s3cret-of-the-test"
MINIMAL = """\
version: 1
site: {name: works, region: GB}
connections:
  floor: {protocol: modbus}
areas:
  hall:
    assets:
      meter-1: {type: meter, rated_kw: 100, devices: {m: {connection: floor, address: h, template: eastron_sdm630}}}
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples and the secrets they name."""
    for file in EXAMPLES:
        shutil.copy(file, tmp_path)
    (tmp_path / "influxdb.password").write_text(f"{SECRET}\n")
    monkeypatch.setenv("INFLUX_TOKEN", SECRET)
    return tmp_path


@pytest.mark.parametrize("name", [p.name for p in EXAMPLES])
def test_example_loads_without_a_doubt(name: str, examples: Path) -> None:
    loaded = load(examples / name)
    assert loaded.warnings == ()
    assert sum(len(device.points) for device in bind(loaded.gateway, loaded.templates)) > 0
    assert SECRET not in f"{loaded!r}{loaded.gateway.dump()}"


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text, "utf-8")
    return path


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plant").mkdir()
    (tmp_path / "plant" / "token").write_text("t\n")
    sink = 'sinks: {i: {type: influxdb, api: v2, url: "http://h", org: o, bucket: b, token: {file: token}}}\n'
    written(tmp_path / "plant", MINIMAL + sink)
    monkeypatch.chdir(tmp_path)
    gateway = load("plant/gateway.yaml").gateway
    assert gateway.data.dir == tmp_path / "plant" / "data"
    token = gateway.sinks["i"].token
    assert token is not None
    assert token.file == tmp_path / "plant" / "token"


def test_anchors_aliases_and_merges(tmp_path: Path) -> None:
    asset = "{type: meter, rated_kw: 1, devices: {m: {<<: *m, address: h2}}}\n"
    text = MINIMAL.replace("{m: {conn", "{m: &m {conn") + f"      meter-2: {asset}"
    devices = list(bind((loaded := load(written(tmp_path, text))).gateway, loaded.templates))
    assert [d.device.address for d in devices] == ["h", "h2"]
    assert devices[0].points == devices[1].points


def warnings(folder: Path, text: str) -> list[str]:
    loaded: Loaded = load(written(folder, text))
    return [f"{w.line}: {w.path}: {w.message}" for w in loaded.warnings]


def test_warns_of_what_can_run_but_should_be_looked_at(tmp_path: Path) -> None:
    text = MINIMAL.replace("rated_kw: 100, ", "").replace("areas:", "  spare: {protocol: modbus}\nareas:")
    chiller = "{type: chiller, devices: {c: {connection: floor, address: h2, template: carrier_30xv}}}\n"
    told = warnings(tmp_path, f"{text}      chiller-1: {chiller}")
    assert told == [
        "5: connections.spare: no device uses this connection",
        "9: areas.hall.assets.meter-1.devices.m: 'energy_import' and 11 more counters have neither max_rate nor the "
        "asset's rated_kw; an impossible jump cannot be told from a true one",
        "10: areas.hall.assets.chiller-1.devices.c.template: template carrier_30xv: low (addresses medium; the source "
        "states neither type nor scale); compare with the display",
    ]


def phased(points: str, more: str = "") -> str:
    """Return MINIMAL with a meter that shows the power of its phases, and other points."""
    phases = "".join(f"p_l{n}: {{quantity: power, unit: kW, modbus: {{address: {4 * n}}}}}, " for n in (1, 2, 3))
    return MINIMAL.replace("template: eastron_sdm630", f"points: {{{phases}{points}}}").replace("100,", f"100,{more}")


COUNTER = "e: {quantity: energy_index, unit: kWh, modbus: {address: 20}}"
GAS = (
    "g: {quantity: volume_index, unit: m3, max_rate: 9, carrier: natural_gas, reference: {celsius: 0}, "
    "modbus: {address: 20}}"
)
SUM = "sum: {quantity: power, unit: kW, modbus: {address: 20}}"


def test_power_of_phases_alone_is_not_accounted(tmp_path: Path) -> None:
    said = (
        "8: areas.hall.assets.meter-1: 'meter-1' shows power by phases only (p_l1, p_l2, p_l3), so it gets no energy "
        "and no CO2e; add a point for the register of their sum (quantity: power) or of an energy counter: no formula "
        "stands in"
    )
    assert warnings(tmp_path, phased("")) == [said]
    assert warnings(tmp_path, phased(COUNTER, " energy: integrate,")) == [said]
    assert warnings(tmp_path, phased(GAS)) == [said]  # counts another carrier
    for points, more in ((COUNTER, ""), (SUM, ""), (SUM, " energy: integrate,"), ("", " energy: none,")):
        assert warnings(tmp_path, phased(points, more)) == [], (points, more)


def test_of_two_powers_of_a_device_one_is_accounted(tmp_path: Path) -> None:
    heat = "heat_flow: {quantity: power, unit: kW, carrier: heat, modbus: {address: 24}}"
    assert warnings(tmp_path, phased(f"{SUM}, {heat}")) == [
        "8: areas.hall.assets.meter-1: 'meter-1' gets no energy of heat: of a device only one power is integrated, and "
        "not heat_flow; add a point for the register of its energy counter, or show it in a device of its own"
    ]
    window = "windows: {w: {type: energy_intensity, energy: [meter-1.sum], product: meter-1.tonnes}}\n"
    tonnes = "tonnes: {quantity: mass_index, unit: t, max_rate: 9, modbus: {address: 28}}"
    counted = COUNTER.replace("kWh,", "kWh, carrier: heat,")  # another carrier's counter leaves the power integrated
    assert warnings(tmp_path, phased(f"{SUM}, {heat}, {counted}, {tonnes}") + window) == []


def test_own_factor_table_makes_a_region_known(tmp_path: Path) -> None:
    header = (
        "region,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence"
    )
    row = "works-grid,location_average,0.3,kg/kWh,co2e,2025,2025-01-01,2025-12-31,utility,contract,2025,letter,high"
    (tmp_path / "own.csv").write_text(f"{header}\n{row}\n")
    text = MINIMAL.replace("region: GB", "region: works-grid") + "factors: {tables: [own.csv]}\n"
    assert load(written(tmp_path, text)).gateway.factors.tables == (tmp_path / "own.csv",)


@pytest.mark.parametrize("path", ["no-such-file.yaml", ".", "a\0b", "x" * 5_000])
def test_unreadable_file_is_a_sentence(path: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path)


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    with path.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        load(path)


def test_thousands_of_mistakes_stay_readable(tmp_path: Path) -> None:
    text = MINIMAL.replace("connections:", "connections:\n" + "".join(f"  c{i}: {{protocol: x}}\n" for i in range(999)))
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].message == "and 799 more problems"


def test_control_characters_cannot_break_the_line_or_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, MINIMAL + '"bad\\nkey\\e[31m": 1\n'))
    assert [p.path for p in caught.value.problems] == ["bad\\nkey\\x1b[31m"]


FACTORY = (ROOT / "examples" / "factory.yaml").read_text("utf-8")
PIECES = st.sampled_from(
    [
        "\n", " ", "  ", "\t", ":", ": ", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "<<: ", "!!int ", "!x ",
        "'", '"', "#", "|", ">", "? ", "---\n", "%YAML 9\n", "null", "~", "no", "1e999", ".nan", "-1", "0x1F", "12:30",
        "\0", "\x85", "\u2028", "\\ud800", "\ufeff", "é",
    ]
)  # fmt: skip
EDIT = st.tuples(st.floats(0, 1), st.integers(0, 40), PIECES | st.text(max_size=8))


def loads_or_explains(folder: Path, raw: bytes) -> None:
    path = folder / "mutated.yaml"
    path.write_bytes(raw)
    try:
        load(path)
    except ConfigError as error:
        str(error).encode()  # can be printed anywhere


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EDIT, min_size=1, max_size=4))
def test_edited_text_loads_or_is_explained(folder: Path, edits: list[tuple[float, int, str]]) -> None:
    text = FACTORY
    for where, cut, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    loads_or_explains(folder, text.encode("utf-8", "surrogatepass"))


VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("furnace-1.volume"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def replaced(data: Any, path: list[float], value: Any) -> Any:
    """Return a copy of `data` with one value, found by fractions of each block's length, replaced."""
    if not path or not isinstance(data, dict | list) or not data:
        return value
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    chosen = keys[min(int(path[0] * len(keys)), len(keys) - 1)]
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[chosen] = replaced(data[chosen], path[1:], value)
    return copy


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1), max_size=9), VALUE)
@example([], None)
@example([], {})
def test_replaced_values_load_or_are_explained(folder: Path, path: list[float], value: Any) -> None:
    data = replaced(yaml.safe_load(FACTORY), path, value)
    loads_or_explains(folder, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_load_or_are_explained(folder: Path, raw: bytes) -> None:
    loads_or_explains(folder, raw)
