"""The models of a configuration → columns of a sheet: one for each field, nested blocks flattened with dots."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from config.connections import Connection
from config.model import Asset, Device
from config.points import DeviceMap, Point

# Names a 点表 uses; those of the first column written are what `--chinese` writes.
CHINESE: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("名称", "点名", "点位名称", "测点名称", "变量名"),
    "template": ("模板",),
    "area": ("区域", "车间"),
    "asset": ("资产", "用能单元"),
    "device": ("设备", "设备名称", "终端"),
    "connection": ("连接", "通道"),
    "address": ("设备地址", "通信地址"),
    "protocol": ("协议", "通信协议"),
    "quantity": ("物理量", "测量量"),
    "unit": ("单位",),
    "kind": ("类别",),
    "scale": ("倍率", "系数", "缩放"),
    "offset": ("偏移", "偏移量"),
    "sign": ("符号", "方向"),
    "valid": ("有效范围", "量程"),
    "digits": ("显示位数",),
    "carrier": ("能源品种",),
    "source": ("来源", "依据"),
    "type": ("类型",),
    "every_s": ("采集周期", "采集周期(s)"),
    "notes": ("说明", "备注"),
    "modbus.address": ("地址", "寄存器地址", "起始地址"),
    "modbus.type": ("数据类型",),
    "modbus.table": ("功能码", "寄存器类型"),
    "modbus.word_order": ("字序",),
    "modbus.byte_order": ("字节序",),
    "modbus.bit": ("位", "位号"),
    "modbus.length": ("长度", "寄存器个数"),
    "dlt645.data": ("数据标识",),
    "dlt645.format": ("数据格式",),
    "mqtt.topic": ("主题",),
    "mqtt.path": ("路径", "字段路径"),
    "opcua.node": ("节点",),
    "opcua.path": ("浏览路径",),
    "sparkplug.metric": ("指标",),
}


class Column(NamedTuple):
    """A field: its dotted name, and what may stand in it."""

    name: str
    kind: Literal["text", "number", "whole", "yes_no", "word", "value"]  # `value`: as YAML writes it on one line

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))


def columns(model: type[BaseModel], before: str = "") -> list[Column]:
    """Return the columns of a model: its own fields and those of the blocks in it, in the order they are declared."""
    found: list[Column] = []
    for key, field in model.model_fields.items():
        name = f"{before}{field.alias or key}"
        inner = _models(field.annotation)
        if len(inner) == 1 and not _is_many(field.annotation):
            found.append(Column(name, "value"))  # {}: there, with nothing said in it
            found += columns(inner[0], f"{name}.")
        else:
            found.append(Column(name, _kind(field.annotation)))
    return found


def point_columns() -> list[Column]:
    """Return the columns of a point in its place."""
    places = [Column(name, "text") for name in ("template", "area", "asset", "device", "name")]
    return [*places, *columns(Point)]


def device_columns() -> list[Column]:
    """Return the columns of a device, its points aside."""
    places = [Column(name, "text") for name in ("area", "asset", "name")]
    return [*places, *(c for c in columns(Device) if c.name != "points")]


def asset_columns() -> list[Column]:
    """Return the columns of an asset, its devices aside."""
    return [
        *(Column(name, "text") for name in ("area", "name")),
        *(c for c in columns(Asset) if c.name != "devices"),
    ]


def template_columns() -> list[Column]:
    """Return the columns of a device map, its points aside."""
    return [Column("name", "text"), *(c for c in columns(DeviceMap) if c.name != "points")]


def connection_columns() -> list[Column]:
    """Return the columns of connections of all protocols."""
    found: dict[str, Column] = {}
    for model in get_args(get_args(Connection)[0]):
        found |= {column.name: column for column in columns(model) if column.name not in found}
    return [Column("name", "text"), *found.values()]


def chinese(name: str) -> str:
    """Return what a column is called in Chinese, its own name where it has none."""
    return CHINESE[name][0] if name in CHINESE else name


def aliases(known: list[Column]) -> dict[str, str]:
    """Return heading → column for every way a column may be called."""
    names = {column.name: column.name for column in known}
    for name, others in CHINESE.items():
        if name in names:
            names |= {_plain(other): name for other in others}
    return names


def heading(text: str) -> str:
    """Return a heading as it is looked up: full width, case and blanks set aside."""
    return _plain(text)


def _plain(text: str) -> str:
    import unicodedata

    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation is made of, without Annotated, Optional and unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _parts(part)
    elif annotation is not type(None):
        yield annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _is_many(annotation: Any) -> bool:
    return len(list(_parts(annotation))) > 1


def _kind(annotation: Any) -> Literal["text", "number", "whole", "yes_no", "word", "value"]:
    parts = list(_parts(annotation))
    if len(parts) != 1:
        return "value"
    (part,) = parts
    if get_origin(part) is Literal:
        return "word" if all(isinstance(value, str) for value in get_args(part)) else "whole"
    if part is bool:
        return "yes_no"
    if part is int:
        return "whole"
    if part is float:
        return "number"
    return "text" if part is str or (isinstance(part, type) and part.__name__ in ("PosixPath", "Path")) else "value"
