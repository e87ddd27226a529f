"""STABLEHLO_COMPOSITE: an operator that names a subgraph which computes the same, put in its place."""

from collections.abc import Callable
from dataclasses import replace

from toolchain.errors import BadModel
from toolchain.load.tflite_operators import OPERATORS
from toolchain.load.tflite_records import COMPOSITE, FileOp, FileTensor, TFLiteFile

DEEPEST = 8
"""Composites within composites that are followed."""


def decomposed(file: TFLiteFile, subgraph: Callable[[int], TFLiteFile], depth: int = 0) -> TFLiteFile:
    """The file with each composite whose subgraph holds only known operators replaced by it.

    subgraph: reads one of the file's subgraphs
    The tensors of a subgraph get the name of the composite's output in front. Raises BadModel where it does
    not take and give as many tensors as the composite.
    """
    tensors, ops = list(file.tensors), []
    for op in file.ops:
        body = None
        if op.operator.startswith(COMPOSITE) and depth < DEEPEST:
            body = decomposed(subgraph(op.options["subgraph"]), subgraph, depth + 1)
        if body is not None and all(inner.operator in OPERATORS for inner in body.ops):
            ops += _in_place(op, body, tensors)
        else:
            ops.append(op)
    return replace(file, tensors=tuple(tensors), ops=tuple(ops))


def _in_place(op: FileOp, body: TFLiteFile, tensors: list[FileTensor]) -> list[FileOp]:
    """The body's operators on the composite's inputs and outputs; the body's own tensors join `tensors`."""
    if (len(op.inputs), len(op.outputs)) != (len(body.inputs), len(body.outputs)) or -1 in op.inputs:
        raise BadModel(f"{body.name}: op {op.index} {op.operator} has inputs {op.inputs}, outputs "
                       f"{op.outputs}, its subgraph {body.inputs} and {body.outputs}; export the file again")
    places, handed_on = {-1: -1, **dict(zip(body.inputs, op.inputs, strict=True))}, []
    for inner, outer in zip(body.outputs, op.outputs, strict=True):
        if inner in places or body.tensors[inner].data is not None:
            handed_on.append((inner, outer))
        else:
            places[inner] = outer
    prefix = tensors[op.outputs[0]].name
    for tensor in body.tensors:
        if tensor.index not in places:
            places[tensor.index] = len(tensors)
            tensors.append(replace(tensor, index=len(tensors), name=f"{prefix}/{tensor.name}"))
    moved = [replace(each, index=op.index, inputs=tuple(places[i] for i in each.inputs),
                     outputs=tuple(places[i] for i in each.outputs)) for each in body.ops]
    return moved + [FileOp(op.index, "RESHAPE", {}, (places[inner],), (outer,)) for inner, outer in handed_on]
