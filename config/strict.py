"""What every block of a configuration is made of: strictness, names, durations, and secrets kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

# Names become series keys, tags and file names; letters of any script are welcome, separators are not.
NAME = r"^[^\W_][\w-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=64)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Period = Annotated[float, Field(ge=0.01, le=86_400)]  # of reading; no oftener than the log can commit


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"'{name}' is no time zone; write e.g. Asia/Shanghai, Europe/Berlin or UTC") from None
    return name


Zone = Annotated[str, AfterValidator(_zone)]
_STRICTLY: Final = {"bool": StrictBool, "bool | None": StrictBool | None}  # by how an annotation is written


class Strict(BaseModel):
    """Frozen; an unknown key is a mistake to be told, not to be ignored; true and false are no words and no numbers."""

    # Built when first used: what stands within a configuration is built with it, and never a second time alone.
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False, defer_build=True
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take every boolean strictly: Pydantic would read "yes" or 1 as true, and so allow what nobody wrote."""
        super().__init_subclass__(**kwargs)
        own = cls.__annotations__
        own.update({name: _STRICTLY[kind] for name, kind in own.items() if kind in _STRICTLY})


class Secret(Strict):
    """A secret is never written here: it is read from an environment variable or from a file."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of 'env: VARIABLE' or 'file: /path/to/secret'")
        return self
