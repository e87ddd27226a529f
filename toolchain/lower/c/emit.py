"""write_c: a quantized Graph becomes portable C99 with constants in flash and a static arena."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import WEIGHTED, asymmetric
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import graph_macs
from toolchain.lower.c import elementwise, movement, pack
from toolchain.lower.c.call import Call
from toolchain.lower.c.memory import Plan, buffer_owners, plan_arena
from toolchain.lower.c.pages import kernel_files, model_page, render, selftest_page
from toolchain.lower.tflite_border import with_border

CALLS: Mapping[str, Callable[[Graph, Op], Call | list[Call]]] = {
    "conv2d": pack.conv2d,
    "depthwise_conv2d": pack.depthwise_conv2d,
    "transpose_conv2d": pack.transpose_conv2d,
    "fully_connected": pack.fully_connected,
    "add": elementwise.binary,
    "sub": elementwise.binary,
    "mul": elementwise.binary,
    "relu": elementwise.lookup,
    "relu6": elementwise.lookup,
    "leaky_relu": elementwise.lookup,
    "elu": elementwise.lookup,
    "gelu": elementwise.lookup,
    "hard_swish": elementwise.lookup,
    "softplus": elementwise.lookup,
    "logistic": elementwise.lookup,
    "tanh": elementwise.lookup,
    "abs": elementwise.lookup,
    "neg": elementwise.lookup,
    "exp": elementwise.lookup,
    "log": elementwise.lookup,
    "sqrt": elementwise.lookup,
    "rsqrt": elementwise.lookup,
    "pow": elementwise.lookup,
    "quantize": elementwise.lookup,
    "softmax": elementwise.softmax,
    "average_pool2d": movement.pool2d,
    "max_pool2d": movement.pool2d,
    "mean": movement.mean,
    "pad": movement.pad,
    "concat": movement.concat,
    "reshape": movement.reshape,
    "transpose": movement.transpose,
}


@dataclass(frozen=True, eq=False)
class CSource:
    """Files by name, and what they will need.

    weight_bytes: of flash: every constant array
    plan:         the arena: where each activation lies
    macs:         of one inference
    """

    files: Mapping[str, bytes]
    weight_bytes: int
    plan: Plan
    macs: int

    @property
    def arena_bytes(self) -> int:
        """Of RAM, with room for inputs and outputs."""
        return self.plan.peak_bytes

    @property
    def peak_op(self) -> str:
        return self.plan.peak_op


def write_c(graph: Graph, name: str | None = None, vectors: Mapping[str, np.ndarray] | None = None,
            input_io: str = "int8") -> CSource:
    """model.c, model.h, the kernels that they call and, given test vectors, selftest.c.

    name:    what public symbols begin with; the graph's name if not given
    vectors: "input/<name>" and "output/<name>" -> (samples, ...) codes, as the C takes and gives them
    input_io: dtype of the inputs: "int8", or "uint8" codes, 128 higher
    Raises Unsupported listing every op that has no integer kernel.
    """
    digest, graph = graph.digest, with_border(graph, input_io, graph.inputs)
    calls = _calls(graph)
    scratch = {op: max((call.scratch_bytes for call in made), default=0) for op, made in calls.items()}
    plan = plan_arena(graph, scratch)
    page = model_page(graph, name or graph.name, calls, plan) | {"digest": digest}
    files = {"model.h": render("model.h.j2", page), "model.c": render("model.c.j2", page)}
    if vectors:
        files["selftest.c"] = render("selftest.c.j2", page | selftest_page(graph, vectors))
    files |= kernel_files(("tk_model", *page["kernels"]))
    return CSource(files, page["weight_bytes"], plan, graph_macs(graph))


def _calls(graph: Graph) -> dict[str, list[Call]]:
    """Op name -> its kernel calls; none for a reshape that only renames bytes. Raises Unsupported."""
    owners, calls, problems = buffer_owners(graph), {}, list(_port_problems(graph))
    for op in graph.ops:
        renames = op.kind == "reshape" and owners[op.name] != op.name
        try:
            _require_codes(graph, op)
            calls[op.name] = [] if renames else _as_list(CALLS[op.kind](graph, op))
        except Unsupported as error:
            problems.append(str(error))
    if problems:
        raise Unsupported.listing(f"{graph.name} in C", problems)
    return calls


def _as_list(made: Call | list[Call]) -> list[Call]:
    return made if isinstance(made, list) else [made]


def _port_problems(graph: Graph) -> Iterator[str]:
    for tensor in (graph.tensors[name] for name in dict.fromkeys((*graph.inputs, *graph.outputs))):
        if tensor.is_constant or tensor.dtype not in ("int8", "uint8"):
            kind = "constant" if tensor.is_constant else tensor.dtype
            yield f"{tensor.name}: a {kind} input or output; C takes and gives int8 or uint8 codes"


def _require_codes(graph: Graph, op: Op) -> None:
    """int8 all through, int32 biases; uint8 only where codes are converted; weights known at build time."""
    allowed = ("int8", "uint8") if op.kind == "quantize" else ("int8",)
    tensors = [t for t in (*graph.of(op), graph.tensors[op.name]) if t.dtype != "int32" or not t.is_constant]
    wrong = ", ".join(f"{t.name} is {t.dtype}" for t in tensors if t.dtype not in allowed)
    if wrong or op.kind not in CALLS:
        raise Unsupported(f"{op.name}: {op.kind}: {wrong or 'no integer kernel'}; C is integer only: "
                          f"quantize to int8, inputs and outputs too")
    if op.kind.endswith("2d") and tensors[0].shape[0] != 1:
        raise Unsupported(f"{op.name}: {op.kind} over a batch of {tensors[0].shape[0]}; C takes one sample")
    if op.kind in WEIGHTED and not all(t.is_constant for t in graph.of(op)[1:]):
        raise Unsupported(f"{op.name}: {op.kind} with weights that are computed; C takes constants")
    if op in asymmetric(graph):
        raise Unsupported(f"{op.name}: {op.kind} with a zero point of its weights, as TFLite's uint8 "
                          f"networks have; C takes 0: quantize the float network again")
