"""What a .tflite file holds, as plain records: what every module of the door in reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ai_edge_litert import schema_py_generated as schema
import numpy as np

COMPOSITE = "STABLEHLO_COMPOSITE"


@dataclass(frozen=True, eq=False)
class FileTensor:
    """One tensor of the file.

    dtype:      numpy's name, or the schema's in capitals where the toolchain has none for it
    signature:  the shape with -1 for what the file leaves open, None where it leaves nothing open
    data:       a read-only view of a constant's values, None for an activation
    scale, zero_point: of length 0 (none), 1 (per tensor) or shape[axis]
    unusual:    what makes it unreadable for us (sparse, a state variable ...), "" for a plain tensor
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    signature: tuple[int, ...] | None
    data: np.ndarray | None
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    unusual: str


@dataclass(frozen=True, eq=False)
class FileOp:
    """One operator.

    operator:        name in the schema
    options:         by field; {} where our rows need none
    inputs, outputs: tensor indexes; -1 where an optional input is left out
    """

    index: int
    operator: str
    options: Mapping[str, object]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TFLiteFile:
    """A subgraph. The first is the network; others are reached through composites and control flow.

    name:      of the model, for messages
    signature: tensor index -> its name in the file's first signature of this subgraph
    unsigned:  its codes were uint8 (tflite_unsigned.py)
    """

    name: str
    tensors: tuple[FileTensor, ...]
    ops: tuple[FileOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature: Mapping[int, str] = field(default_factory=dict)
    unsigned: bool = False

    @cached_property
    def not_only_max_pooled(self) -> frozenset[int]:
        """Tensors that something else reads than a max pool without pads."""
        others = (op.inputs for op in self.ops
                  if op.operator != "MAX_POOL_2D" or op.options["padding"] != schema.Padding.VALID)
        return frozenset((*self.outputs, *(index for inputs in others for index in inputs)))
