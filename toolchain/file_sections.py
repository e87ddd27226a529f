"""Sections of a recipe that say how files are written."""

from typing import Annotated, Literal

import msgspec

from toolchain.section import Section


class CConfig(Section):
    """How C is written for a microcontroller.

    optimise: "size" = least flash; "speed" = fewest instructions; "balanced" = instructions where their price
              in flash is fair
    patches:  bands of rows that the first layers are done in, one after the other, with less RAM; "auto": as
              many as make the network fit the target; 0: none
    """

    optimise: Literal["size", "balanced", "speed"] = "balanced"
    patches: Annotated[int, msgspec.Meta(ge=0, le=64)] | Literal["auto"] = "auto"


class TFLiteConfig(Section):
    """How .tflite files of integer networks are written.

    islands: "auto" = ops that LiteRT runs faster on reals compute on them, between conversions, unless the
             target says `integer_only`; "needed" = only what LiteRT has no integer kernel for
    """

    islands: Literal["auto", "needed"] = "auto"
