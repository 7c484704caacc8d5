"""SunSpec models as data: every `*.yaml` in this folder, by the numbers of the models it describes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field

from config.points import Point
from config.strict import Name, Strict

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ModelMap(Strict):
    """What one or several SunSpec models of one layout show; addresses count from the model's first register."""

    models: tuple[int, ...]
    family: Literal["inverter", "meter"]
    title: str
    length: int  # registers after the model's number and length
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    points: dict[Name, Point]


# What the common model says of a device: (register from the model's first, registers). SunSpec model 1.
COMMON: Final = {"maker": (2, 16), "model": (18, 16), "version": (42, 8), "serial": (50, 16)}


@cache
def load_models() -> dict[int, ModelMap]:
    """Return every model that can be read, by its number."""
    maps = [
        ModelMap.model_validate(yaml.load(file.read_text("utf-8"), _LOADER))
        for file in sorted(files(__name__).iterdir(), key=lambda f: f.name)
        if file.name.endswith(".yaml")
    ]
    return {number: one for one in maps for number in one.models}
