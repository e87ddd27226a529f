"""What `edge inspect` shows of a model."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph
from toolchain.ir.layout import transposes
from toolchain.ir.ops import graph_macs, op_macs
from toolchain.load import Shapes, load
from toolchain.names import shortened, with_short_names
from toolchain.profile import load_target
from toolchain.suitability import Suitability, suitability, suitability_text


class OpLine(msgspec.Struct, frozen=True):
    """One op: shapes of "inputs" (without constants) and "outputs", multiply-accumulates for one sample.

    bytes: of its constants
    """

    kind: str
    name: str
    shapes: dict[str, tuple[tuple[int, ...], ...]]
    macs: int
    parameters: int
    bytes: int


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a glance; where something is unsupported only that is known.

    worst_error: of the load's self-check, as a share of the output's range
    permutations: input or output -> source layout = channels-last layout transposed by it
    targets: what each target that was asked for makes of it
    """

    model: str
    ops: tuple[OpLine, ...] = ()
    macs: int = 0
    parameters: int = 0
    transposes: int = 0
    inputs: dict[str, tuple[int, ...]] = {}
    outputs: dict[str, tuple[int, ...]] = {}
    permutations: dict[str, tuple[int, ...]] = {}
    worst_error: float | None = None
    notes: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    targets: tuple[Suitability, ...] = ()


def inspect_model(source: str, targets: Sequence[str] = (), shapes: Shapes | None = None,
                  checkpoint: Path | None = None) -> Inspection:
    """Load the model and describe it, and what each of `targets` makes of it.

    What has no row is listed, not raised. shapes, checkpoint: as `load` takes them
    """
    profiles = [load_target(name) for name in targets]
    try:
        graph = load(source, shapes=shapes, checkpoint=checkpoint)
    except Unsupported as error:
        if not error.items:
            raise
        return Inspection(model=source, unsupported=error.items)
    found = tuple(suitability(graph, profile) for profile in profiles)
    return msgspec.structs.replace(describe(source, graph), targets=found)


def describe(source: str, graph: Graph) -> Inspection:
    """The graph as `edge inspect` shows it."""
    def shapes(names):
        return {name: graph.tensors[name].shape for name in names}

    return Inspection(
        model=source, ops=tuple(_line(graph, op) for op in graph.ops), macs=graph_macs(graph),
        parameters=graph.parameters, transposes=transposes(graph),
        inputs=shapes(graph.inputs), outputs=shapes(graph.outputs),
        permutations=dict(graph.permutations),
        worst_error=graph.source.worst_error, notes=graph.source.notes)


def _line(graph: Graph, op) -> OpLine:
    tensors = graph.of(op)
    inputs = tuple(t.shape for t in tensors if not t.is_constant)
    constants = [t for t in tensors if t.is_constant]
    outputs = tuple(graph.tensors[name].shape for name in op.outputs)
    return OpLine(op.kind, op.name, {"inputs": inputs, "outputs": outputs}, op_macs(graph, op),
                  sum(t.size for t in constants), sum(t.data.nbytes for t in constants))


def inspection_table(found: Inspection):
    """A Rich group: the ops and a summary."""
    from rich.console import Group
    from rich.table import Table

    table = Table("op", "name", "output", "MACs", "parameters", "bytes")
    for op in found.ops:
        shape = "x".join(map(str, op.shapes["outputs"][0]))
        table.add_row(op.kind, shortened(op.name), shape, f"{op.macs:,}", f"{op.parameters:,}",
                      f"{op.bytes:,}")
    summary = (f"{len(found.ops)} ops, {found.macs:,} MACs, {found.parameters:,} parameters, "
               f"{found.transposes} transposes")
    if found.worst_error is not None:
        summary += f"; self-check: worst error {found.worst_error:.2g} of the range"
    return Group(*([table] if found.ops else []), summary, *found.notes,
                 *(with_short_names(suitability_text(each)) for each in found.targets))
