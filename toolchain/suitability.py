"""What a target makes of a model: what it cannot run, what it runs in float, and whether it fits."""

from collections.abc import Mapping

import msgspec

from toolchain.errors import DoesNotFit, Unsupported
from toolchain.fitting import CODE_BYTES, in_codes, remedies, remedy_text
from toolchain.ir.check import CONVERSIONS
from toolchain.ir.graph import Graph, Op
from toolchain.load.absorb import integers_for
from toolchain.lower import lower, require_fit
from toolchain.lower.c.arrange import BESIDES
from toolchain.profile import TargetProfile

INSTEAD: Mapping[str, str] = {
    "batch_matmul": "a fully connected layer, where one factor is constant",
    "cast": "one dtype from input to output",
    "compare": "a clamp or relu, or compare after the network",
    "div": "mul by a constant, or divide after the network",
    "gather": "a slice, or look the embedding up before the network",
    "layer_norm": "batch norm, which folds into the convolution before it",
    "log_softmax": "softmax, or hand the logits out",
    "pow": "mul for squares, sqrt for roots",
    "select": "mul by a mask",
    "softmax": "hand the logits out",
    "transpose_conv2d": "resize_nearest and a conv2d",
}
"""Kind -> what does the same, or nearly."""


class Suitability(msgspec.Struct, frozen=True, kw_only=True):
    """cannot_run: op and why, in any of the target's formats;  in_float: ops between conversions

    needs: "flash" and "ram" in bytes; empty where something cannot run
    """

    target: str
    scheme: str
    formats: tuple[str, ...]
    cannot_run: tuple[str, ...] = ()
    in_float: tuple[str, ...] = ()
    instead: dict[str, str] = {}
    needs: dict[str, int] = {}
    has: dict[str, int] = {}
    does_not_fit: str = ""


def suitability(graph: Graph, profile: TargetProfile) -> Suitability:
    """Of a model in INT8, or as it came if it is quantized."""
    found = Suitability(target=profile.name, scheme="static_wi8_ai8", formats=profile.formats,
                        has={"flash": profile.flash_bytes, "ram": profile.ram_bytes})
    try:
        codes = in_codes(integers_for(graph, profile.formats))
        needs = _needs(codes, profile)
    except Unsupported as error:
        items = error.items or (str(error),)
        return msgspec.structs.replace(found, cannot_run=items, instead=_instead(graph, items))
    except DoesNotFit as error:
        return msgspec.structs.replace(found, does_not_fit=str(error))
    return msgspec.structs.replace(found, needs={kind: needs[kind] for kind in ("flash", "ram")},
                                   in_float=_in_float(codes, profile))


def _needs(codes: Graph, profile: TargetProfile) -> Mapping[str, int]:
    """Bytes of flash and RAM; on a microcontroller with an allowance for firmware. Raises DoesNotFit."""
    needs = lower(codes, profile, {}).manifest.static_bytes
    if "c" not in profile.formats:
        return needs
    needs = {"flash": needs["flash"] + CODE_BYTES, "ram": needs["ram"] + BESIDES}
    try:
        require_fit(needs, profile, codes.name)
    except DoesNotFit as error:
        found = remedies(codes, profile, "static_wi8_ai8", {})
        raise DoesNotFit(f"{error}. {remedy_text(found, profile)}") from None
    return needs


def _in_float(graph: Graph, profile: TargetProfile) -> tuple[str, ...]:
    """Ops that compute on reals though something before or after them is in codes: in every format, or in
    .tflite, where LiteRT has no integer kernel or a slow one."""
    from toolchain.lower.tflite_islands import on_islands

    islands = on_islands(graph, profile.integer_only) if "tflite" in profile.formats else frozenset()

    def on_reals(op: Op) -> bool:
        return graph.tensors[op.name].dtype == "float32" or op.name in islands

    return tuple(f"{op.name}: {op.kind}" for op in graph.ops
                 if op.kind not in CONVERSIONS and on_reals(op))


def _instead(graph: Graph, items: tuple[str, ...]) -> dict[str, str]:
    kinds = {op.kind for op in graph.ops if any(op.kind in item for item in items)}
    return {kind: INSTEAD[kind] for kind in sorted(kinds) if kind in INSTEAD}


def suitability_text(found: Suitability) -> str:
    """Lines for a terminal."""
    lines = [f"{found.target} ({', '.join(found.formats)}, {found.scheme}):"]
    lines += [f"  {kind} {found.needs[kind]:,} of {found.has[kind]:,} bytes" for kind in found.needs]
    lines += [f"  does not fit: {found.does_not_fit}"] if found.does_not_fit else []
    lines += [f"  cannot run {item}" for item in found.cannot_run]
    lines += [f"  instead of {kind}: {what}" for kind, what in found.instead.items()]
    lines += [f"  in float between conversions: {item}" for item in found.in_float]
    return "\n".join(lines)
