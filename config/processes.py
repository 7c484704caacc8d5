"""What the user writes of production processes: what gives off gas by chemistry, and what its tonnes are taken from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.strict import Name, Strict

Part = Annotated[float, Field(ge=0, le=1)]  # share of mass, volume or what is fed
Text = Annotated[str, StringConstraints(min_length=1)]


class _Process(Strict):
    """Booked on an asset under scope 1; `from` is a metered stream in tonnes, else its tonnes are entered.

    Tonnes by document are deliveries whose carrier is the name of the process.
    """

    asset: Name
    metered_by: str = Field("", alias="from")


class Carbonate(_Process):
    """A carbonate that is calcined, per tonne fed."""

    kind: Literal["limestone", "dolomite", "magnesite", "siderite", "rhodochrosite", "soda_ash"]
    purity: Part = 1.0
    calcined: Part = 1.0


class Clinker(_Process):
    """Clinker and kiln dust, per tonne made; `…_other` is what did not come from carbonates."""

    kind: Literal["clinker"]
    cao: Part
    mgo: Part
    cao_other: Part = 0.0
    mgo_other: Part = 0.0

    @model_validator(mode="after")
    def _part_of(self) -> Self:
        if self.cao_other > self.cao or self.mgo_other > self.mgo:
            raise ValueError("what came from elsewhere cannot be more than all there is of an oxide")
        return self


class RawMeal(_Process):
    """Carbon of raw meal that is no fuel's, per tonne of it."""

    kind: Literal["raw_meal"]
    carbon: Part


class Steel(_Process):
    """The guideline's default of a flux, electrode or carbon-bearing input, per tonne; a product keeps its carbon."""

    kind: Literal["steel"]
    material: Literal[
        "limestone", "dolomite", "electrode", "pig_iron", "direct_reduced_iron", "ferro_chrome", "crude_steel"
    ]
    product: bool = False


class Carbon(_Process):
    """A material of measured carbon content, per tonne; a product keeps its carbon."""

    kind: Literal["carbon"]
    carbon: Part
    document: Text  # the analysis
    year: Annotated[int, Field(ge=1990, le=2100)]
    product: bool = False


class ShieldingGas(_Process):
    """Welding gas used up, per tonne; `composition` in shares of volume."""

    kind: Literal["shielding_gas"]
    composition: dict[Literal["CO2", "Ar", "He", "O2", "N2", "H2"], Part]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.composition.values()) - 1) > 0.001:
            raise ValueError(f"the shares of volume make {sum(self.composition.values()):g}, not 1")
        return self


class EtchByProduct(Strict):
    """A gas made of the etching gas: kg per kg fed, and the shares treated and destroyed of it."""

    gas: Text
    rate: Annotated[float, Field(ge=0)]
    treated: Part = 0.0
    destroyed: Part = 0.0


class Etching(_Process):
    """A gas fed to etching or vapour deposition, per tonne taken from its bottles."""

    kind: Literal["etching"]
    gas: Text
    used: Part
    heel: Part = 0.10
    treated: Part = 0.0
    destroyed: Part = 0.0
    byproducts: tuple[EtchByProduct, ...] = ()


class OwnFactor(_Process):
    """A factor of one's own, per tonne, with its source."""

    kind: Literal["own"]
    kg_per_t: Annotated[float, Field(ge=-1e5, le=1e6)]
    gas: Literal["co2", "co2e"] = "co2e"
    source: Text
    year: Annotated[int, Field(ge=1990, le=2100)]


Process = Annotated[
    Carbonate | Clinker | RawMeal | Steel | Carbon | ShieldingGas | Etching | OwnFactor, Field(discriminator="kind")
]
