"""write_c: a quantized Graph becomes portable C99 with constants in flash and a static arena."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import WEIGHTED, asymmetric
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.loops import in_pieces
from toolchain.ir.ops import APART, OPS, graph_macs
from toolchain.lower.c.arena.arena_map import arena_map
from toolchain.lower.c.arena.plan import Plan
from toolchain.lower.c.arena.views import Layout
from toolchain.lower.c.arrange import Arrangement, arrange
from toolchain.lower.c.call import Call
from toolchain.lower.c.lending import Lent, borrowing
from toolchain.lower.c.machine import PORTABLE, Machine
from toolchain.lower.c.pages import TEMPLATES, kernel_files, model_page, selftest_page
from toolchain.lower.c.portable import arithmetic, elementwise, loops, movement, taking, weighted
from toolchain.lower.dead_channels import told, without_dead_channels
from toolchain.lower.tflite_border import with_border
from toolchain.measurement import ArenaMap
from toolchain.templates import render

CALLS: Mapping[str, Callable[[Graph, Op], Call | list[Call]]] = {
    "conv2d": weighted.conv2d,
    "depthwise_conv2d": weighted.depthwise_conv2d,
    "transpose_conv2d": weighted.transpose_conv2d,
    "fully_connected": weighted.fully_connected,
    "add": elementwise.binary,
    "sub": elementwise.binary,
    "mul": elementwise.binary,
    "div": elementwise.binary_or_lookup,
    "minimum": elementwise.pair,
    "maximum": elementwise.pair,
    "relu": elementwise.lookup,
    "relu6": elementwise.lookup,
    "leaky_relu": elementwise.lookup,
    "prelu": elementwise.binary_or_lookup,
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
    "log_softmax": arithmetic.log_softmax,
    "batch_matmul": arithmetic.batch_matmul,
    "layer_norm": arithmetic.layer_norm,
    "resize_bilinear": arithmetic.resize_bilinear,
    "average_pool2d": movement.pool2d,
    "max_pool2d": movement.pool2d,
    "mean": movement.mean_or_sum,
    "sum": movement.mean_or_sum,
    "reduce_max": movement.extreme,
    "reduce_min": movement.extreme,
    "argmax": movement.argmax,
    "resize_nearest": taking.take,
    "depth_to_space": movement.depth_to_space,
    "space_to_depth": movement.space_to_depth,
    "pad": movement.pad,
    "mirror_pad": taking.take,
    "concat": movement.concat,
    "slice": taking.take,
    "gather": taking.gather,
    "tile": taking.take,
    "reshape": movement.reshape,
    "transpose": movement.transpose,
    "select": elementwise.select,
    "step": loops.step,
    "state": loops.state,
    "sequence": loops.sequence,
    "last": loops.last,
}
NOT_CODES: Mapping[tuple[str, str], frozenset[str]] = {
    ("quantize", "x"): frozenset({"int8", "uint8"}), ("quantize", "out"): frozenset({"int8", "uint8"}),
    ("argmax", "out"): frozenset({"int32"}), ("gather", "indices"): frozenset({"int32"}),
    ("select", "condition"): frozenset({"bool"}),
    ("reshape", "x"): frozenset({"int32", "bool"}), ("reshape", "out"): frozenset({"int32", "bool"})}
"""(kind, role of an input or "out") -> dtypes besides those of the op's codes."""
PORTS = {"input": ("int8", "uint8", "int16", "bool", "int32"), "output": ("int8", "uint8", "int16", "int32")}
"""dtypes of what C takes and gives."""


@dataclass(frozen=True, eq=False)
class CSource:
    """Files by name, and what they will need.

    weight_bytes: of flash: every constant array
    plan:         the arena: where each activation lies
    macs:         of one inference
    arena_map:    the plan, for a picture
    notes:        what was changed on the way, in words
    titles:       of its steps
    """

    files: Mapping[str, bytes]
    weight_bytes: int
    plan: Plan
    macs: int
    arena_map: ArenaMap
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()

    @property
    def arena_bytes(self) -> int:
        """Of RAM, with room for inputs and outputs."""
        return self.plan.peak_bytes

    @property
    def peak_op(self) -> str:
        return self.plan.peak_op


@dataclass(frozen=True, eq=False)
class Arranged:
    """A graph on its way to C.

    digest: of the graph as it came;  given: as C takes it;  living: without what has no part in its outputs
    done:   kernel calls, and where everything lies
    """

    digest: str
    given: Graph
    living: Graph
    done: Arrangement


def write_c(graph: Graph, name: str | None = None, vectors: Mapping[str, np.ndarray] | None = None,
            input_io: str = "int8", machine: Machine = PORTABLE) -> CSource:
    """model.c, model.h, the kernels that they call and, given test vectors, selftest.c.

    name:    what public symbols begin with; the graph's name if not given
    vectors: "input/<name>" and "output/<name>" -> (samples, ...) codes, as the C takes and gives them
    input_io: dtype of the inputs: "int8", or "uint8" codes, 128 higher
    machine: whose instructions the kernels may use
    Raises Unsupported listing every op that has no integer kernel.
    """
    return printed(arranged(graph, input_io, machine), name or graph.name, vectors)


def arranged(graph: Graph, input_io: str = "int8", machine: Machine = PORTABLE,
             lent: Sequence[Lent] = (), dead: bool = False) -> Arranged:
    """As `write_c`, without a word of C.

    lent: arrays of other networks, which it may read
    dead: whether channels that change no output stay
    """
    digest, given = graph.digest, in_pieces(_with_int32(with_border(graph, input_io, graph.inputs)))
    living = given if dead else without_dead_channels(given)
    return Arranged(digest, given, living,
                    arrange(living, _calls, machine, borrowing(lent) if lent else None))


def printed(found: Arranged, name: str, vectors: Mapping[str, np.ndarray] | None = None, file: str = "model",
            first_step: int = 0, elsewhere: Sequence[Lent] = ()) -> CSource:
    """As `write_c`.

    file, first_step: of a stage of a chain: what stands for "model" in the names of its files, the number of
                      its first step among all stages' ones
    elsewhere:        arrays that shared.c has
    """
    done = found.done
    page = model_page(done.graph, name, done.calls, done.plan, first_step, elsewhere)
    page |= {"digest": found.digest, "header": f"{file}.h"}
    page |= selftest_page(found.living, vectors) if vectors else {}
    files = {f"{file}.{kind}": render(TEMPLATES, f"model.{kind}.j2", page) for kind in ("h", "c")}
    files |= {"selftest.c": render(TEMPLATES, "selftest.c.j2", page)} if vectors else {}
    files |= kernel_files(("tk_model", *page["kernels"]))
    return CSource(files, page["weight_bytes"], done.plan, graph_macs(done.graph),
                   arena_map(done.graph, done.plan), tuple(_notes(found.given, found.living, done.graph)),
                   tuple(step.title for step in page["steps"]))


def _notes(given: Graph, living: Graph, arranged: Graph) -> Iterator[str]:
    """What was changed on the way, in words."""
    if living is not given:
        yield told(given, living)
    if arranged is not living:
        yield (f"its first layers run in bands, for less RAM: {graph_macs(arranged):,} multiply-accumulates "
               f"for {graph_macs(living):,}")


def _with_int32(graph: Graph) -> Graph:
    """The graph with int32 for the int64 that it computes: an index into what fits a board fits that."""
    tensors = {name: replace(tensor, dtype="int32") if tensor.dtype == "int64" and not tensor.is_constant
               else tensor for name, tensor in graph.tensors.items()}
    ops = (replace(op, attrs={**op.attrs, "to": "int32"}) if op.attrs.get("to") == "int64" else op
           for op in graph.ops)
    return replace(graph, tensors=tensors, ops=tuple(ops))


def _calls(graph: Graph, layout: Layout) -> dict[str, list[Call]]:
    """Op name -> its kernel calls; none for what is there already. Raises Unsupported."""
    calls, problems = {}, list(_port_problems(graph))
    for op in graph.ops:
        try:
            _require_codes(graph, op)
            calls[op.name] = [] if op.name in layout.views else _as_list(CALLS[op.kind](graph, op))
            if op.kind == "concat":
                there = layout.in_place(graph, op)
                calls[op.name] = [c for c, done in zip(calls[op.name], there, strict=True) if not done]
        except Unsupported as error:
            problems.append(str(error))
    if problems:
        raise Unsupported.listing(f"{graph.name} in C", problems)
    return calls


def _as_list(made: Call | list[Call]) -> list[Call]:
    return made if isinstance(made, list) else [made]


def _port_problems(graph: Graph) -> Iterator[str]:
    for side, names in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in (graph.tensors[name] for name in dict.fromkeys(names)):
            if tensor.is_constant or tensor.dtype not in PORTS[side]:
                kind = "constant" if tensor.is_constant else tensor.dtype
                yield f"{tensor.name}: the {side} is {kind}; in C it can be {', '.join(PORTS[side])}"


def _not_codes(graph: Graph, op: Op) -> list[Tensor]:
    """What the op reads and gives in a dtype that C has not there. What has a role of its own and is constant
    is its kernel's matter."""
    roles = OPS[op.kind].inputs
    full = (*roles, *roles[-1:] * (len(op.inputs) - len(roles)), "out")
    tensors = *graph.of(op), graph.tensors[op.name]
    codes = "int16" if any(t.dtype == "int16" for t in tensors) else "int8"
    return [tensor for role, tensor in zip(full, tensors, strict=True)
            if not (tensor.is_constant and role in APART)
            and tensor.dtype not in NOT_CODES.get((op.kind, role), ()) and tensor.dtype != codes]


def _require_codes(graph: Graph, op: Op) -> None:
    """int8 or int16 all through, but for what NOT_CODES says; weights known at build time."""
    tensors = graph.of(op)
    wrong = ", ".join(f"{t.name} is {t.dtype}" for t in _not_codes(graph, op))
    if wrong or op.kind not in CALLS:
        raise Unsupported(f"{op.name}: {op.kind}: {wrong or 'no integer kernel'}; C is integer only: "
                          f"quantize to int8, inputs and outputs too")
    if op.kind.endswith(("2d", "bilinear")) and tensors[0].shape[0] != 1:
        raise Unsupported(f"{op.name}: {op.kind} over a batch of {tensors[0].shape[0]}; C takes one sample")
    if op.kind in WEIGHTED and not all(t.is_constant for t in graph.of(op)[1:]):
        raise Unsupported(f"{op.name}: {op.kind} with weights that are computed; C takes constants")
    if asymmetric(graph, op):
        raise Unsupported(f"{op.name}: {op.kind} with a zero point of its weights, as TFLite's uint8 "
                          f"networks have; C takes 0: quantize the float network again")
