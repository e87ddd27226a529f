"""The op table: how many inputs, which shapes, how many multiply-accumulates; and what it refuses."""

import pytest

from toolchain.errors import BadGraph
from toolchain.ir.graph import Graph, Tensor
from toolchain.ir.ops import OPS, graph_macs, make, op_macs, output_shape


def shape_of(kind, *shapes, **attrs):
    return output_shape(make(kind, [f"in{i}" for i in range(len(shapes))], "y", **attrs), list(shapes))


# Inputs -----------------------------------------------------------------------------------------------------

ENOUGH = {"axes": (1,), "pads": ((0, 0),), "axis": 1, "shape": (1,), "perm": (0,), "kernel": (1, 1),
          "alpha": 0.1, "epsilon": 1e-3, "size": (2, 2), "block": 2, "begin": (0,), "end": (1,),
          "strides": (1,), "multiples": (1,), "relation": "less", "to": "float32",
          "loop": "loop", "steps": 1}


def make_with(kind, count):
    attrs = {name: ENOUGH[name] for name in OPS[kind].attrs
             if name in ENOUGH and not (name == "pads" and not kind.endswith("pad"))}
    return make(kind, [f"in{i}" for i in range(count)], "y", **attrs)


@pytest.mark.parametrize("kind", [kind for kind in OPS if kind != "concat"])
def test_an_op_takes_one_input_for_each_role(kind):
    roles = len(OPS[kind].inputs)
    assert len(make_with(kind, roles).inputs) == roles
    for count in {0, roles - 1, roles + 1}:
        with pytest.raises(BadGraph, match=f"y: {kind} takes .*, but got {count} inputs"):
            make_with(kind, count)


def test_concat_takes_one_input_or_more():
    assert [len(make_with("concat", count).inputs) for count in (1, 2, 7)] == [1, 2, 7]
    with pytest.raises(BadGraph, match=r"y: concat takes x\*, but got 0 inputs"):
        make_with("concat", 0)


# Shapes -----------------------------------------------------------------------------------------------------

IMAGE = (1, 9, 7, 3)
CONV = [(5, 3, 3, 3), (5,)]


@pytest.mark.parametrize("kind, shapes, attrs, expected", [
    ("conv2d", [IMAGE, (5, 3, 3, 3), (5,)], {}, (1, 7, 5, 5)),
    ("conv2d", [IMAGE, (5, 3, 3, 3), (5,)], {"stride": (2, 3), "pads": (0, 1, 1, 1)}, (1, 4, 3, 5)),
    ("conv2d", [IMAGE, (5, 3, 3, 3), (5,)], {"dilation": (4, 3)}, (1, 1, 1, 5)),
    ("depthwise_conv2d", [IMAGE, (1, 3, 1, 6), (6,)], {"multiplier": 2}, (1, 7, 7, 6)),
    ("fully_connected", [(1, 4), (2, 4), (2,)], {}, (1, 2)),
    ("batch_norm", [(1, 4), (4,), (4,), (4,), (4,)], {"epsilon": 1e-3}, (1, 4)),
    ("add", [IMAGE, (7, 1)], {}, IMAGE),
    ("mul", [(1, 1, 7, 1), (9, 1, 3)], {}, IMAGE),
    ("sub", [(1, 4), ()], {}, (1, 4)),
    ("softmax", [(1, 4)], {}, (1, 4)),
    ("max_pool2d", [IMAGE], {"kernel": (2, 2), "stride": (2, 2)}, (1, 4, 3, 3)),
    ("average_pool2d", [IMAGE], {"kernel": (3, 3), "pads": (1, 1, 1, 1)}, IMAGE),
    ("mean", [IMAGE], {"axes": (1, 2)}, (1, 3)),
    ("mean", [IMAGE], {"axes": (1, 3), "keepdims": True}, (1, 1, 7, 1)),
    ("pad", [IMAGE], {"pads": ((0, 0), (1, 2), (0, 0), (0, 3))}, (1, 12, 7, 6)),
    ("concat", [IMAGE, (1, 9, 7, 1), IMAGE], {"axis": 3}, (1, 9, 7, 7)),
    ("reshape", [IMAGE], {"shape": (1, 63, 3)}, (1, 63, 3)),
    ("transpose", [IMAGE], {"perm": (0, 3, 1, 2)}, (1, 3, 9, 7)),
    ("conv2d", [(1, 9, 7, 6), (4, 3, 3, 3), (4,)], {}, (1, 7, 5, 4)),  # two groups
    ("transpose_conv2d", [IMAGE, (5, 3, 3, 3), (5,)], {}, (1, 11, 9, 5)),
    ("transpose_conv2d", [IMAGE, *CONV], {"stride": (2, 2), "pads": (1, 0, 1, 0)}, (1, 18, 14, 5)),
    ("transpose_conv2d", [IMAGE, (5, 1, 1, 3), (5,)], {"stride": (2, 2), "pads": (0, -1, 0, 0)},
     (1, 18, 13, 5)),
    ("batch_matmul", [(1, 4, 2, 3), (3, 5)], {}, (1, 4, 2, 5)),
    ("batch_matmul", [(1, 3, 2), (1, 5, 3)], {"transpose_a": True, "transpose_b": True}, (1, 2, 5)),
    ("layer_norm", [IMAGE, (3,), (7, 3)], {"axes": (2, 3), "epsilon": 1e-5}, IMAGE),
    ("prelu", [IMAGE, (1, 1, 3)], {}, IMAGE),
    ("compare", [IMAGE, (1,)], {"relation": "less"}, IMAGE),
    ("select", [(1, 9, 1, 1), IMAGE, (3,)], {}, IMAGE),
    ("sum", [IMAGE], {"axes": (3,)}, (1, 9, 7)),
    ("argmax", [IMAGE], {"axis": 3}, (1, 9, 7)),
    ("resize_bilinear", [IMAGE], {"size": (4, 20)}, (1, 4, 20, 3)),
    ("depth_to_space", [(1, 2, 3, 12)], {"block": 2}, (1, 4, 6, 3)),
    ("space_to_depth", [(1, 4, 6, 3)], {"block": 2}, (1, 2, 3, 12)),
    ("mirror_pad", [IMAGE], {"pads": ((0, 0), (8, 1), (0, 0), (0, 0))}, (1, 18, 7, 3)),
    ("mirror_pad", [IMAGE], {"pads": ((0, 0), (0, 9), (0, 0), (0, 0)), "mode": "symmetric"}, (1, 18, 7, 3)),
    ("slice", [IMAGE], {"begin": (0, 1, 0, 2), "end": (1, 8, 7, 3), "strides": (1, 3, 1, 1)}, (1, 3, 7, 1)),
    ("gather", [IMAGE, (4,)], {"axis": 2}, (1, 9, 4, 3)),
    ("gather", [(50, 8), (1, 6)], {"axis": 0}, (1, 6, 8)),
    ("tile", [IMAGE], {"multiples": (1, 2, 1, 3)}, (1, 18, 7, 9)),
])
def test_shapes(kind, shapes, attrs, expected):
    assert shape_of(kind, *shapes, **attrs) == expected


@pytest.mark.parametrize("kind, shapes, attrs, message", [
    ("conv2d", [(), *CONV], {}, r"needs a 4-D input, got \(\)"),
    ("conv2d", [(1, 3), *CONV], {}, r"needs a 4-D input, got \(1, 3\)"),
    ("conv2d", [(1, 9, 7, 4), *CONV], {}, r"weight \(5, 3, 3, 3\) does not take the input \(1, 9, 7, 4\)"),
    ("conv2d", [IMAGE, (5, 3, 3, 3), (4,)], {}, r"bias \(4,\) does not match weight \(5, 3, 3, 3\)"),
    ("conv2d", [IMAGE, *CONV], {"dilation": (1, 4)}, r"a \(3, 3\) window with pads .* does not fit"),
    ("conv2d", [IMAGE, *CONV], {"stride": (1, 0)}, r"stride \(1, 0\) .* must be positive"),
    ("conv2d", [IMAGE, *CONV], {"dilation": (0, 1)}, r"dilation \(0, 1\) must be positive"),
    ("depthwise_conv2d", [(), (1, 3, 1, 6), (6,)], {}, r"needs a 4-D input, got \(\)"),
    ("depthwise_conv2d", [IMAGE, (1, 3, 1, 6), (6,)], {}, "does not take the input .* with multiplier 1"),
    ("depthwise_conv2d", [IMAGE, (1, 3, 1, 3), (6,)], {}, r"bias \(6,\) does not match"),
    ("fully_connected", [(1, 2, 2), (2, 4), (2,)], {}, "put a reshape before it"),
    ("fully_connected", [(1, 3), (2, 4), (2,)], {}, "does not take the input"),
    ("fully_connected", [(1, 4), (2, 4), (4,)], {}, r"bias \(4,\) does not match"),
    ("batch_norm", [(1, 4), (4,), (4,), (3,), (4,)], {"epsilon": 0.1}, "do not match the input"),
    ("batch_norm", [(), (), (), (), ()], {"epsilon": 0.1}, "do not match the input"),
    ("add", [(1, 4), (3,)], {}, r"shapes \(1, 4\) and \(3,\) do not broadcast"),
    ("max_pool2d", [(1, 4)], {"kernel": (1, 1)}, "needs a 4-D input"),
    ("max_pool2d", [IMAGE], {"kernel": (0, 1)}, r"kernel \(0, 1\).* must be positive"),
    ("average_pool2d", [IMAGE], {"kernel": (2, 2), "stride": (0, 1)}, r"stride \(0, 1\)"),
    ("average_pool2d", [IMAGE], {"kernel": (10, 1)}, "does not fit the input"),
    ("mean", [IMAGE], {"axes": (0, 1)}, r"axes \(0, 1\) must be within 1..3"),
    ("pad", [IMAGE], {"pads": ((0, 0), (1, 1))}, "do not match the input"),
    ("pad", [(1, 4)], {"pads": ((0, 0), (-1, 0))}, "do not match the input"),
    ("concat", [IMAGE, IMAGE], {"axis": 0}, "axis 0 must be within 1..3"),
    ("concat", [IMAGE, (1, 9, 6, 3)], {"axis": 3}, "differ outside axis 3"),
    ("concat", [(1, 4), (1,)], {"axis": 1}, "differ outside axis 1"),
    ("reshape", [(1, 4)], {"shape": (1, -4)}, "cannot become"),
    ("transpose", [(1, 4)], {"perm": (1, 1)}, "does not order the axes"),
    ("conv2d", [(1, 9, 7, 6), (5, 3, 3, 3), (5,)], {}, "does not take the input"),  # five rows, two groups
    ("transpose_conv2d", [IMAGE, (5, 3, 3, 4), (5,)], {}, "does not take the input"),
    ("transpose_conv2d", [IMAGE, *CONV], {"pads": (6, 5, 0, 0)}, "leave nothing of the output"),
    ("batch_matmul", [(1, 2, 3), (1, 2, 5)], {}, "does not multiply"),
    ("batch_matmul", [(3,), (3, 5)], {}, "needs matrices"),
    ("batch_matmul", [(2, 2, 3), (3, 3, 5)], {}, "do not broadcast"),
    ("layer_norm", [IMAGE, (9,), (3,)], {"axes": (3,), "epsilon": 0.1}, "do not broadcast"),
    ("layer_norm", [(1, 3), (3,), (3,)], {"axes": (0,), "epsilon": 0.1}, r"axes \(0,\) must be within 1..1"),
    ("prelu", [(1, 3), (2, 3)], {}, "do not broadcast to"),
    ("argmax", [IMAGE], {"axis": 4}, r"axes \(4,\) must be within 1..3"),
    ("resize_nearest", [IMAGE], {"size": (0, 2)}, "must be two positive numbers"),
    ("resize_bilinear", [IMAGE], {"size": (2, 2), "align_corners": True, "half_pixel_centers": True},
     "not both"),
    ("depth_to_space", [IMAGE], {"block": 2}, "has no blocks of 2 x 2"),
    ("space_to_depth", [IMAGE], {"block": 2}, "has no blocks of 2 x 2"),
    ("mirror_pad", [IMAGE], {"pads": ((0, 0), (9, 0), (0, 0), (0, 0))}, "reach further than the input"),
    ("mirror_pad", [IMAGE], {"pads": ((0, 0),) * 4, "mode": "wrap"}, "unknown mode 'wrap'"),
    ("slice", [(1, 4)], {"begin": (0, 0), "end": (1, 5), "strides": (1, 1)}, "must lie within the input"),
    ("slice", [(1, 4)], {"begin": (0, 2), "end": (1, 2), "strides": (1, 1)}, "must lie within the input"),
    ("gather", [IMAGE, (4,)], {"axis": 4}, "axis 4 must be within 0..3"),
    ("tile", [(1, 4)], {"multiples": (1, 0)}, "do not match the input"),
])
def test_shapes_that_do_not_go_together_are_refused(kind, shapes, attrs, message):
    with pytest.raises(BadGraph, match=f"^y: {kind}: .*{message}"):
        shape_of(kind, *shapes, **attrs)


# Multiply-accumulates ---------------------------------------------------------------------------------------

def one_op(kind, *shapes, **attrs):
    op = make(kind, [f"in{i}" for i in range(len(shapes))], "y", **attrs)
    tensors = [*(Tensor(name, shape) for name, shape in zip(op.inputs, shapes)),
               Tensor("y", output_shape(op, list(shapes)))]
    return Graph(kind, {t.name: t for t in tensors}, (op,), op.inputs, ("y",))


@pytest.mark.parametrize("kind, shapes, attrs, macs", [
    ("conv2d", [IMAGE, *CONV], {}, 7 * 5 * 5 * 27),
    ("conv2d", [IMAGE, *CONV], {"stride": (2, 2)}, 4 * 3 * 5 * 27),
    ("depthwise_conv2d", [IMAGE, (1, 3, 1, 6), (6,)], {"multiplier": 2}, 7 * 7 * 6 * 3),
    ("fully_connected", [(1, 4), (2, 4), (2,)], {}, 8),
    ("max_pool2d", [IMAGE], {"kernel": (2, 2)}, 0),
    ("mul", [IMAGE, IMAGE], {}, 0),
    ("conv2d", [(1, 9, 7, 6), (4, 3, 3, 3), (4,)], {}, 7 * 5 * 4 * 27),
    ("transpose_conv2d", [IMAGE, *CONV], {"pads": (1, 1, 1, 1)}, 9 * 7 * 3 * 9 * 5),
    ("batch_matmul", [(1, 4, 2, 3), (3, 5)], {}, 4 * 2 * 5 * 3),
    ("batch_matmul", [(1, 3, 2), (1, 3, 5)], {"transpose_a": True}, 2 * 5 * 3),
])
def test_macs(kind, shapes, attrs, macs):
    graph = one_op(kind, *shapes, **attrs)
    assert op_macs(graph, graph.ops[0]) == graph_macs(graph) == macs
