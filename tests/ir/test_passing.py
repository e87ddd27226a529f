"""Axes that pass through an op: where others are fed at one place, the result changes at that place alone.

The reference is the oracle, on every float case of the op matrix.
"""

import numpy as np
import pytest

from tests.op_cases import DRAW, cases
from tests.op_maker import Case
from toolchain.ir.passing import passed
from toolchain.runtime import reference

PASSES = {"conv2d", "depthwise_conv2d", "add", "tanh", "softmax", "layer_norm", "mean", "argmax", "concat",
          "slice", "gather", "transpose", "reshape", "batch_matmul", "select"}
"""Kinds that pass an axis in some case."""


def changed(case: Case, name: str, axis: int, into: int, place: int) -> set[int]:
    """Places along axis `into` of the result that change where at one place of an input the next sample's
    values are fed."""
    other = case.feeds[name].copy()
    at = (slice(None),) * axis + (place,)
    other[at] = np.roll(other, 1, axis=0)[at]
    output, = case.graph.outputs
    before, after = (reference.run(case.graph, feeds)[output]
                     for feeds in (case.feeds, {**case.feeds, name: other}))
    return set(np.nonzero(before != after)[into].tolist())


@pytest.mark.parametrize("kind", DRAW)
def test_a_place_depends_on_itself_alone(kind):
    found = 0
    for case in cases(kind, "float32"):
        op, shapes = case.graph.ops[-1], case.graph.tensors
        axes = [(name, axis) for name in case.graph.inputs for axis in range(1, len(shapes[name].shape))
                if shapes[name].shape[axis] > 1]
        for name, axis in axes:
            into = passed(case.graph, op, name, axis)
            if into is not None:
                found += 1
                assert shapes[op.name].shape[into] == shapes[name].shape[axis]
                for place in (0, shapes[name].shape[axis] - 1):
                    assert changed(case, name, axis, into, place) <= {place}, (case.name, name, axis)
    assert found or kind not in PASSES
