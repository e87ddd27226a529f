"""Both ops see what the one saw, at prices by hand."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.cost_table import load_cost_table
from toolchain.ir.build import Builder
from toolchain.ir.ops import make, output_shape
from toolchain.profile import load_target
from toolchain.prune.cost import MACS, PARAMETERS, Cost
from toolchain.prune.in_two import SPLIT, Prices, in_two, thin_shapes

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=100, deadline=None)
@given(kernel=PAIR, stride=PAIR, dilation=PAIR, pads=st.tuples(*[st.integers(0, 3)] * 4),
       form=st.sampled_from(list(SPLIT)), rank=st.integers(1, 5))
def test_what_comes_out_has_the_shape_of_the_ops_own(kernel, stride, dilation, pads, form, rank):
    x, weight = (1, 9, 11, 4), (6, *kernel, 4)
    op = make("conv2d", ("x", "w", "b"), "y", stride=stride, dilation=dilation, pads=pads, activation="relu6")
    first, second = in_two(op, form, ("m", "v", "c"), ("w", "b"))
    before, behind = thin_shapes(form, weight, rank)
    middle = output_shape(first, [x, before, (rank,)])
    assert output_shape(second, [middle, behind, (6,)]) == output_shape(op, [x, weight, (6,)])
    assert (first.inputs, first.name) == (("x", "v", "c"), "m")
    assert (second.inputs, second.name) == (("m", "w", "b"), "y")
    assert (first.attrs["activation"], second.attrs["activation"]) == (None, "relu6")


def network():
    """3 x 3 from 8 to 16 channels on 10 x 10, a batch norm, a ReLU; fully connected from 1600 to 10."""
    b = Builder("net")

    def numbers(name, *shape):
        return b.constant(name, np.ones(shape, np.float32))

    x = b.op("conv2d", [b.input("x", (1, 10, 10, 8)), numbers("w", 16, 3, 3, 8), numbers("b", 16)], "conv",
             pads=(1, 1, 1, 1))
    x = b.op("batch_norm", [x, *(numbers(f"n{i}", 16) for i in range(4))], "norm", epsilon=1e-3)
    x = b.op("reshape", [b.op("relu", [x], "relu")], "flat", shape=(1, 1600))
    return b.graph(b.op("fully_connected", [x, numbers("v", 10, 1600), numbers("c", 10)], "fc"))


def test_prices_by_hand():
    graph = network()
    prices, conv, fc = Prices.of(graph, (MACS, PARAMETERS)), graph.producers["conv"], graph.producers["fc"]
    assert prices.whole(conv) == (100 * 16 * 72, 16 * 72 + 16)
    assert prices.thin(conv, "channel", 3) == (100 * (3 * 72 + 16 * 3), 3 * 72 + 3 + 16 * 3 + 16)
    assert prices.thin(conv, "spatial", 3) == (100 * (3 * 24 + 16 * 9), 3 * 24 + 3 + 16 * 9 + 16)
    assert prices.whole(fc) == (16000, 16010)
    assert prices.thin(fc, "channel", 2) == (2 * 1600 + 20, 2 * 1600 + 2 + 20 + 10)


def test_ops_are_priced_with_the_activation_that_they_run_with():
    """On the Cortex-M4 a convolution without one takes longer: then it is another price."""
    graph, table = network(), load_cost_table(load_target("cortex_m4_qemu"))
    prices = Prices.of(graph, (Cost("instructions", table.unit, of_op=table.of_op),))
    whole = sum(prices.whole(graph.producers[name])[0] for name in ("conv", "fc"))
    assert prices.activations == {"w": "relu", "v": None}
    assert whole + table.fixed == pytest.approx(table.predict(graph), rel=1e-3)
