"""Structures as they came over the wire → their fields, by the definitions the server gives (OPC UA Part 3, 8.48 ff.).

The library can load definitions too, but keeps them for the whole process by their number: two servers with different
structures under one number would be mixed up, and the number may change when a server starts. Here each session has
its own, and only of those types a configured point needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from collectors.opcua_limits import Limits, in_parts
from config.errors import Rejected

_BUILT_IN: Final = 25  # the data types below this number are those of the wire
_ENUMERATION: Final = ua.NodeId(ua.ObjectIds.Enumeration)
_STRUCTURE: Final = ua.NodeId(ua.ObjectIds.Structure)
_SUBTYPE: Final = ua.NodeId(ua.ObjectIds.HasSubtype)
_ABSTRACT: Final = (26, 27, 28)  # Number, Integer, UInteger come as Variants, never plain
_DEEPEST: Final = 16
_LONGEST: Final = 100_000  # elements of an array inside a structure

_Wire = Any  # ua.VariantType of a built-in type, or ua.NodeId of a nested structure


class Structures:
    """The structures of one session's server that points need."""

    def __init__(self, session: Any, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._by_type: dict[ua.NodeId, ua.StructureDefinition] = {}
        self._by_encoding: dict[ua.NodeId, ua.StructureDefinition] = {}
        self._wire: dict[ua.NodeId, _Wire] = {}

    async def learn(self, variables: Iterable[ua.NodeId]) -> None:
        """Ask for the data types of variables and for those inside them; what is no structure is passed over."""
        types = await in_parts(list(variables), self._limits, "read", self._types)
        for value in types:
            if value.Value is not None and isinstance(value.Value.Value, ua.NodeId):
                await self._learn(value.Value.Value, 0)

    async def _types(self, variables: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        types: list[ua.DataValue] = await self._session.read_attributes(list(variables), ua.AttributeIds.DataType)
        return types

    async def _learn(self, data_type: ua.NodeId, depth: int) -> None:
        if data_type in self._wire or depth > _DEEPEST:
            return
        wire = self._wire[data_type] = await self._wire_type(data_type)
        if not isinstance(wire, ua.NodeId):
            return
        (value,) = await self._session.read_attributes([data_type], ua.AttributeIds.DataTypeDefinition)
        definition = value.Value.Value if value.Value is not None else None
        if not isinstance(definition, ua.StructureDefinition):
            return
        self._by_type[data_type] = self._by_encoding[definition.DefaultEncodingId] = definition
        for field in definition.Fields:
            await self._learn(field.DataType, depth + 1)

    async def _wire_type(self, data_type: ua.NodeId) -> _Wire:
        """Follow the supertypes of a data type up to one that the wire knows."""
        current = data_type
        for _ in range(_DEEPEST):
            if current == _ENUMERATION:
                return ua.VariantType.Int32
            if current == _STRUCTURE:
                return ua.VariantType.ExtensionObject if current == data_type else data_type
            if current.NamespaceIndex == 0 and current.Identifier in range(1, _BUILT_IN + 1):
                return ua.VariantType(current.Identifier)
            if current.NamespaceIndex == 0 and current.Identifier in _ABSTRACT:
                return ua.VariantType.Variant
            above = await self._supertype(current)
            if above is None:
                break
            current = above
        return ua.VariantType.Variant

    async def _supertype(self, data_type: ua.NodeId) -> ua.NodeId | None:
        wanted = ua.BrowseDescription(
            data_type, ua.BrowseDirection.Inverse, _SUBTYPE, False, 0, ua.BrowseResultMask.None_
        )
        (result,) = await self._session.browse(ua.BrowseParameters(NodesToBrowse=[wanted]))
        if not result.References:
            return None
        above = result.References[0].NodeId
        return ua.NodeId(above.Identifier, above.NamespaceIndex)

    def fields(self, value: Any) -> dict[str, Any]:
        """Return the fields of a structure's value. Raises Rejected for what is none, or of a type not learned."""
        if isinstance(value, ua.ExtensionObject):
            definition = self._by_encoding.get(value.TypeId)
            if definition is None or value.Body is None:
                raise Rejected(f"the server does not describe the structure {value.TypeId.to_string()}")
            return self._decoded(definition, value.Body)
        names = getattr(value, "__dataclass_fields__", None)
        if names is None:
            raise Rejected(f"the value is no structure but {type(value).__name__}; leave 'field:' out")
        return {name: getattr(value, name) for name in names}

    def _decoded(self, definition: ua.StructureDefinition, body: bytes) -> dict[str, Any]:
        buffer = Buffer(body)
        try:
            return self._structure(definition, buffer, 0)
        except Rejected:
            raise
        except Exception as error:  # the library raises whatever a damaged body makes it stumble over
            raise Rejected(f"the structure does not decode as its server describes it: {error}") from error

    def _structure(self, definition: ua.StructureDefinition, buffer: Buffer, depth: int) -> dict[str, Any]:
        if depth > _DEEPEST:
            raise Rejected(f"the structure is nested deeper than {_DEEPEST}")
        kind, fields = definition.StructureType, list(definition.Fields)
        if kind > ua.StructureType.Union:
            raise Rejected("structures with subtyped values are not read; choose a variable with a plain number")
        if kind == ua.StructureType.Union:
            chosen = ua_binary.Primitives.UInt32.unpack(buffer)
            fields = fields[chosen - 1 : chosen] if chosen else []
        elif kind == ua.StructureType.StructureWithOptionalFields:
            there = ua_binary.Primitives.UInt32.unpack(buffer)
            bits = {f.Name: 1 << i for i, f in enumerate(f for f in fields if f.IsOptional)}
            fields = [f for f in fields if not f.IsOptional or there & bits[f.Name]]
        return {field.Name: self._field(field, buffer, depth) for field in fields}

    def _field(self, field: ua.StructureField, buffer: Buffer, depth: int) -> Any:
        if field.ValueRank < 0:
            return self._one(field.DataType, buffer, depth)
        if field.ValueRank > 1:
            raise Rejected(f"the field '{field.Name}' has {field.ValueRank} dimensions; only one is read in structures")
        length = ua_binary.Primitives.Int32.unpack(buffer)
        if length > _LONGEST:
            raise Rejected(f"the field '{field.Name}' has {length} elements; at most {_LONGEST} are read")
        return [self._one(field.DataType, buffer, depth) for _ in range(max(0, length))]

    def _one(self, data_type: ua.NodeId, buffer: Buffer, depth: int) -> Any:
        wire = self._wire.get(data_type)
        if isinstance(wire, ua.VariantType):
            return ua_binary.unpack_uatype(wire, buffer)
        if data_type in self._by_type:
            return self._structure(self._by_type[data_type], buffer, depth + 1)
        known = ua.extension_objects_by_datatype.get(data_type) if data_type.NamespaceIndex == 0 else None
        if known is None:
            raise Rejected(f"the server does not describe the structure {data_type.to_string()}")
        return ua_binary.struct_from_binary(known, buffer)
