"""The trainable module computes what the reference and the source compute, and gives its graph back."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from tests.models import NETWORKS
from toolchain.errors import Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.layout import channels_last
from toolchain.ir.ops import OPS
from toolchain.load.torch import load_torch
from toolchain.runtime import reference
from toolchain.runtime.torch_module import FORWARD, GraphModule, trained_constants

RNG = np.random.default_rng(0)


def loaded(name):
    module, example = NETWORKS[name]()
    return module, channels_last(load_torch(module, example, name))


def computed(graph, feeds):
    with torch.no_grad():
        got = GraphModule(graph).eval()({name: torch.from_numpy(x) for name, x in feeds.items()})
    return {name: value.numpy() for name, value in got.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_source_and_the_reference(name):
    module, graph = loaded(name)
    shape = graph.tensors["x"].shape
    x = RNG.standard_normal((3, *shape[1:]), np.float32)
    (got,) = computed(graph, {"x": x}).values()
    (ours,) = reference.run(graph, {"x": x}).values()
    with torch.no_grad():
        source = module(torch.from_numpy(x.transpose(graph.permutations["x"]))).numpy()
    scale = np.abs(source).max()
    assert np.abs(got - source).max() < 1e-5 * scale
    assert np.abs(got - ours).max() < 1e-5 * scale


def test_gives_the_graph_back_untouched_until_it_trains():
    _, graph = loaded("sensor_net")
    module = GraphModule(graph).eval()
    assert module.to_graph().digest == graph.digest
    x = torch.from_numpy(RNG.standard_normal((4, *graph.tensors["x"].shape[1:]), np.float32))
    module.train()(x)["fc2"].square().sum().backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    trained = module.to_graph()
    assert trained.digest != graph.digest and trained.ops == graph.ops
    for name in ("conv1.weight", "bn1.bias", "bn2.running_var", "fc2.bias"):
        assert not np.array_equal(trained.tensors[name].data, graph.tensors[name].data)


def test_train_mode_updates_running_statistics_as_torch_does():
    """Same batch through the source and through the graph: running mean and variance move alike."""
    module, graph = loaded("resnet8")
    x = torch.from_numpy(RNG.standard_normal((4, 3, 32, 32), np.float32))
    ours = GraphModule(graph).train()
    ours(x.permute(0, 2, 3, 1))
    module.train()(x)
    trained, state = ours.to_graph(), module.state_dict()
    for name in ("stem.1.running_mean", "blocks.2.shortcut.1.running_var"):
        np.testing.assert_allclose(trained.tensors[name].data, state[name].numpy(), rtol=1e-4, atol=1e-5)


def test_positional_and_named_inputs_are_the_same():
    b = Builder("two")
    x, y = b.input("x", (1, 4)), b.input("y", (1, 4))
    module = GraphModule(b.graph(b.op("sub", [x, y], "z")))
    first, second = torch.ones(2, 4), torch.zeros(2, 4)
    assert torch.equal(module(first, second)["z"], torch.ones(2, 4))
    assert torch.equal(module({"y": second, "x": first})["z"], torch.ones(2, 4))


def test_two_ops_that_share_a_weight_train_one_parameter():
    b = Builder("tied")
    x = b.input("x", (1, 3))
    w, bias = b.constant("w", np.eye(3, dtype=np.float32)), b.constant("b", np.zeros(3, np.float32))
    y = b.op("fully_connected", [b.op("fully_connected", [x, w, bias], "y"), w, bias], "z")
    assert len(list(GraphModule(b.graph(y)).parameters())) == 2


def test_slopes_matrices_and_embeddings_train_but_indices_do_not():
    b = Builder("embedding")
    tokens = b.input("tokens", (1, 3), "int64")
    table, matrix = (b.constant(name, np.eye(4, dtype=np.float32)) for name in ("table", "matrix"))
    rows = b.op("gather", [table, tokens], "rows", axis=0)
    order = b.constant("order", np.array([1, 0], np.int64))
    y = b.op("batch_matmul", [b.op("gather", [rows, order], "picked", axis=1), matrix], "scores")
    graph = b.graph(b.op("prelu", [y, b.constant("alpha", np.full(4, 0.1, np.float32))], "y"))
    module = GraphModule(graph).train()
    (module(torch.tensor([[0, 2, 3]]))["y"] - 5).square().sum().backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    changed = {t.name for t in module.to_graph().constants
               if not np.array_equal(t.data, graph.tensors[t.name].data)}
    assert changed <= {"table", "matrix", "alpha"} and {"table", "matrix"} <= changed
    assert trained_constants(graph) == {"table", "matrix", "alpha"}


def test_a_quantized_graph_is_refused():
    b = Builder("int8")
    y = b.op("dequantize", [b.input("x", (1, 4), "int8")], "y", dtype="float32")
    with pytest.raises(Unsupported, match="int8: training has no dequantize; train the float graph"):
        GraphModule(b.graph(y))


@pytest.mark.parametrize("kind, attrs", [("reshape", {"shape": (4, 3)}), ("transpose", {"perm": (1, 0)})])
def test_a_graph_that_loses_the_batch_axis_is_refused(kind, attrs):
    b = Builder("turned")
    y = b.op(kind, [b.input("x", (1, 12))], "y", **attrs)
    with pytest.raises(Unsupported, match=f"y: {kind} moves the batch away from the first axis"):
        GraphModule(b.graph(y))


REDUCTION = {"axes": (2,), "keepdims": True}
ATTRS = {
    "depthwise_conv2d": {"multiplier": 2}, "batch_norm": {"epsilon": 1e-3},
    "layer_norm": {"axes": (1, 3), "epsilon": 1e-3}, "leaky_relu": {"alpha": 0.2}, "softmax": {"beta": 1.5},
    "batch_matmul": {"transpose_b": True}, "average_pool2d": {"kernel": (2, 3)},
    "max_pool2d": {"kernel": (3, 2)}, "mean": REDUCTION, "sum": REDUCTION, "reduce_max": REDUCTION,
    "reduce_min": REDUCTION, "argmax": {"axis": 2, "to": "int32"}, "resize_nearest": {"size": (5, 9)},
    "resize_bilinear": {"size": (5, 9), "half_pixel_centers": True}, "depth_to_space": {"block": 2},
    "space_to_depth": {"block": 2}, "pad": {"pads": ((0, 0), (1, 0), (0, 2), (1, 1)), "value": -1.5},
    "mirror_pad": {"pads": ((0, 0), (1, 2), (0, 0), (1, 1)), "mode": "symmetric"}, "concat": {"axis": 3},
    "slice": {"begin": (0, 1, 0, 1), "end": (1, 6, 5, 4), "strides": (1, 2, 1, 1)}, "gather": {"axis": 2},
    "tile": {"multiples": (1, 2, 1, 3)}, "reshape": {"shape": (1, 48, 4)},
    "transpose": {"perm": (0, 2, 3, 1)}, "compare": {"relation": "less"}, "cast": {"to": "int32"}}
OPERANDS = {
    "conv2d": [(6, 3, 2, 2), (6,)], "depthwise_conv2d": [(1, 2, 3, 8), (8,)],
    "transpose_conv2d": [(5, 3, 2, 4), (5,)], "fully_connected": [(5, 4), (5,)], "batch_matmul": [(5, 4)],
    "batch_norm": [(4,), (4,), (4,), (4,)], "layer_norm": [(1, 8, 1, 4), (4,)], "prelu": [(4,)],
    "add": [(6, 1)], "sub": [(4,)], "mul": [(1, 8, 6, 4)], "div": [(4,)], "minimum": [(4,)],
    "maximum": [(6, 1)], "pow": [(4,)], "concat": [(1, 8, 6, 2)], "compare": [(6, 4)]}
"""Shapes of the constants that an op reads beside x, (1, 8, 6, 4)."""
POSITIVE = {"log", "sqrt", "rsqrt", "pow", "batch_norm"}
"""Kinds whose operands must be above 0."""


def case(kind, rng):
    """A graph of one op of this kind on an image, with odd pads and strides."""
    b = Builder(kind)
    x = b.input("x", (1, 8, 6, 4))
    if kind in ("logical_and", "logical_or", "logical_not", "select"):
        return logic(b, kind, x)
    if kind == "fully_connected":
        x = b.op("mean", [x], "flat", axes=(1, 2))
    if kind in POSITIVE:
        x = b.op("exp", [x], "positive")
    draws = (rng.standard_normal(shape).astype(np.float32) for shape in OPERANDS.get(kind, ()))
    operands = [b.constant("c", np.exp(draw) if kind in POSITIVE else draw) for draw in draws]
    if kind == "gather":
        operands = [b.constant("indices", rng.integers(0, 6, (2, 3)))]
    attrs = ATTRS.get(kind, {}) | (window(rng) if "stride" in OPS[kind].attrs else {})
    return b.graph(b.op(kind, [x, *operands], "y", **attrs))


def window(rng):
    pads, stride = tuple(int(n) for n in rng.integers(0, 2, 4)), tuple(int(n) for n in rng.integers(1, 3, 2))
    return {"stride": stride, "pads": pads, "activation": rng.choice([None, "relu", "relu6"])}


def logic(b, kind, x):
    """On truths about x."""
    zero = b.constant("zero", np.float32(0).reshape(1))
    above = b.op("compare", [x, zero], "above", relation="greater")
    near = b.op("compare", [b.op("abs", [x], "size"), b.constant("one", np.ones(1, np.float32))], "near",
                relation="less")
    operands = {"logical_not": [above], "select": [above, x, zero]}.get(kind, [above, near])
    return b.graph(b.op(kind, operands, "y"))


@pytest.mark.parametrize("kind", sorted(FORWARD))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_op_equals_the_reference(kind, seed):
    rng = np.random.default_rng(seed)
    graph, x = case(kind, rng), rng.standard_normal((2, 8, 6, 4), np.float32)
    got, expected = computed(graph, {"x": x})["y"], reference.run(graph, {"x": x})["y"]
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
