"""What the user writes of points: what a value is, and where it stands on each protocol; device maps of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from config.protocols import PROTOCOLS
from config.protocols.dlt645 import Dlt645Point
from config.protocols.modbus import ModbusDefaults, ModbusPoint
from config.protocols.mqtt import MqttPoint
from config.protocols.opcua import OpcuaPoint
from config.protocols.sparkplug import SparkplugPoint
from config.quantities import QUANTITIES, KindName, conversion
from config.strict import Name, Strict

Carrier = Literal[
    "electricity", "solar", "wind", "hydro", "heat", "steam", "hot_water", "cooling", "compressed_air",
    "natural_gas", "lng", "lpg", "coke_oven_gas", "blast_furnace_gas", "converter_gas", "calcium_carbide_gas",
    "other_coal_gas", "refinery_gas", "biogas", "hydrogen", "diesel", "petrol", "kerosene", "fuel_oil", "crude_oil",
    "naphtha", "biodiesel", "biogasoline", "waste_oil", "anthracite", "bituminous", "subbituminous", "lignite",
    "coking_coal", "washed_coal", "other_washed_coal", "briquette", "coke", "petcoke", "coal_tar", "crude_benzol",
    "peat", "wood", "solid_biomass", "charcoal", "industrial_waste", "msw_fossil", "water", "product", "none",
]  # fmt: skip


class GasReference(Strict):
    """Temperature and pressure a gas volume refers to, e.g. 0 °C and 101.325 kPa for Nm³ in China."""

    celsius: Annotated[float, Field(gt=-50, lt=100)]
    kpa: Annotated[float, Field(gt=50, lt=200)] = 101.325


class SteamState(Strict):
    """State of steam counted by mass: absolute pressure, and temperature or dryness where it is not saturated."""

    mpa: Annotated[float, Field(gt=0, le=16.5)]
    celsius: Annotated[float, Field(gt=0, le=800)] | None = None
    dryness: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.celsius is not None and self.dryness is not None:
            raise ValueError("wet steam has the temperature of its pressure: give celsius: or dryness:, not both")
        return self


class WaterState(Strict):
    """Temperature of hot water counted by mass, and of what goes back."""

    celsius: Annotated[float, Field(gt=0, le=200)]
    back_celsius: Annotated[float, Field(ge=0, le=200)] = 20.0

    @model_validator(mode="after")
    def _warmer(self) -> Self:
        if self.celsius <= self.back_celsius:
            raise ValueError("what comes must be warmer than what goes back")
        return self


class Point(Strict):
    """One value of a device: what it is, in which unit, and where it stands (exactly one protocol)."""

    quantity: str
    unit: str
    kind: KindName | None = None
    scale: float = 1.0
    offset: float = 0.0
    sign: Literal[1, -1] = 1
    valid: tuple[float, float] | None = None  # in `unit`, after scale
    digits: Annotated[int, Field(ge=3, le=19)] | None = None  # a counter that rolls over in decimal
    max_rate: Annotated[float, Field(gt=0)] | None = None  # most the counter can advance [unit/h], in the long run
    step: Annotated[float, Field(gt=0)] | None = (
        None  # it advances by [unit], a piece or a pulse; default: its register's
    )
    carrier: Carrier | None = None
    # Reference state of a gas volume; an emission factor per m³ applies only to a stated one.
    reference: GasReference | None = None
    # What a register of a fuel's energy counts by; an emission factor per kWh applies only to a stated one.
    calorific: Literal["net", "gross"] | None = None
    # State of bought steam or hot water whose tonnes are counted: from it follows the heat they bring.
    steam: SteamState | None = None
    hot_water: WaterState | None = None
    source: str | None = None
    modbus: ModbusPoint | None = None
    dlt645: Dlt645Point | None = None
    opcua: OpcuaPoint | None = None
    mqtt: MqttPoint | None = None
    sparkplug: SparkplugPoint | None = None

    @property
    def protocol(self) -> str:
        return next(p for p in PROTOCOLS if getattr(self, p) is not None)

    def in_unit(self, raw: float) -> float:
        """Return what a device shows in the unit of the point: raw · scale · sign + offset."""
        return raw * self.scale * self.sign + self.offset

    @property
    def effective_kind(self) -> KindName:
        return self.kind or QUANTITIES[self.quantity].kind

    @field_validator("quantity")
    @classmethod
    def _known(cls, quantity: str) -> str:
        conversion("", quantity) if quantity not in QUANTITIES else None
        return quantity

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        conversion(self.unit, self.quantity)
        if sum(getattr(self, p) is not None for p in PROTOCOLS) != 1:
            *most, last = PROTOCOLS
            raise ValueError(f"say where the value stands: exactly one of {':, '.join(most)}: or {last}:")
        if self.scale == 0:
            raise ValueError("scale 0 would erase the value; leave it out for 1")
        if self.effective_kind == "counter" and self.scale * self.sign < 0:
            raise ValueError(
                "a counter counts up: scale and sign must make it positive, or nothing would ever be counted"
            )
        if self.effective_kind == "delta":
            raise ValueError(f"{self.quantity} is an interval amount; a device has {self.quantity}_index or power")
        if self.digits is not None and self.effective_kind != "counter":
            raise ValueError("'digits' goes with counters only")
        if self.step is not None and self.effective_kind != "counter":
            raise ValueError("'step' goes with counters only")
        if self.valid and self.valid[0] >= self.valid[1]:
            raise ValueError("valid: [low, high] needs low < high")
        if self.modbus:
            self._suits(self.modbus)
        return self

    def _suits(self, place: ModbusPoint) -> None:
        if place.is_clock and (self.quantity, self.scale, self.sign, self.offset) != ("clock_offset", 1.0, 1, 0.0):
            raise ValueError("what a clock gives is quantity clock_offset, in s, without scale, sign or offset")
        if place.form and self.quantity != "power_factor":
            raise ValueError("'form' is of a power_factor only")


class DeviceMap(Strict):
    """The points of one kind of device, and how it wants to be read."""

    protocol: Literal["modbus", "dlt645", "opcua", "mqtt", "sparkplug"]
    notes: str = ""
    # Of an electricity meter: whether what it shows includes its transformers already; None: not known, or settable.
    shows: Literal["primary", "secondary"] | None = None
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125  # most one read may ask for
    max_gap: Annotated[int, Field(ge=0, le=124)] = 16  # unneeded registers read rather than asking twice
    modbus: ModbusDefaults = ModbusDefaults()
    points: Annotated[dict[Name, Point], Field(min_length=1)]


class Template(DeviceMap):
    """A shipped device map: of one make and model, and never without a source."""

    id: Name
    vendor: str
    model: str
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    confidence: str
