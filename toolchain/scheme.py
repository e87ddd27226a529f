"""What numbers may become, by the field's names: when activations are quantized, and both sides' numbers.

static       activations are codes, at scales known from calibration
dynamic      activations are reals that the runtime quantizes as it computes
weight_only  weights are codes that become reals again before anything is computed
wi<bits>     weights are integers of so many bits;  ai<bits>, afp32: so are activations, or float32
"""

from collections.abc import Mapping
from dataclasses import dataclass
import difflib

from toolchain.errors import BadConfig


@dataclass(frozen=True)
class Scheme:
    """weights: "float32", "float16" or "int<bits>";  activations: "float32", "int8" or "int16"

    method: "float", "static", "dynamic" or "weight_only"
    """

    method: str
    weights: str
    activations: str


SCHEMES: Mapping[str, Scheme] = {
    "static_wi8_ai8": Scheme("static", "int8", "int8"),
    "static_wi8_ai16": Scheme("static", "int8", "int16"),
    "static_wi4_ai8": Scheme("static", "int4", "int8"),
    "dynamic_wi8_afp32": Scheme("dynamic", "int8", "float32"),
    "dynamic_wi4_afp32": Scheme("dynamic", "int4", "float32"),
    **{f"weight_only_wi{bits}_afp32": Scheme("weight_only", f"int{bits}", "float32")
       for bits in range(8, 1, -1)},
    "float16": Scheme("float", "float16", "float32"),
    "float32": Scheme("float", "float32", "float32"),
}
NAMED_BEFORE: Mapping[str, str] = {
    "int8": "static_wi8_ai8", "int16x8": "static_wi8_ai16", "dynamic": "dynamic_wi8_afp32"}
"""What version 0.1 called them."""


def scheme_of(name: str) -> Scheme:
    """The scheme of that name. Raises BadConfig naming the likely one, or all."""
    if name in SCHEMES:
        return SCHEMES[name]
    near = [NAMED_BEFORE[name]] if name in NAMED_BEFORE else difflib.get_close_matches(name, SCHEMES, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(SCHEMES)}"
    raise BadConfig(f'[quantize] scheme = "{name}": no such scheme; {hint}')
