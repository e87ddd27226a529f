"""What goes into a module: several inputs, by keyword, nested, of whole numbers, bytes and truth values."""

import numpy as np
import torch
from torch import nn

from tests.load.torch_nets import Network, kinds, load_checked_on
from toolchain.ir.check import check
from toolchain.ir.layout import channels_last
from toolchain.load.selfcheck import self_check
from toolchain.load.torch import load_torch, module_oracle


def checked(module, example):
    """The graph, compared with the module on this example's structure."""
    literal = check(load_torch(module, example, "net"), "FLOAT")
    graph = check(channels_last(literal), "FLOAT")
    assert self_check(literal, graph, module_oracle(module, literal, example)) < 1e-5
    return graph


def dtypes(graph):
    return {name: graph.tensors[name].dtype for name in graph.inputs}


class Keyed(nn.Module):
    def forward(self, image, *, scale, masks, flag=True, offset=None):
        y = image * scale["factor"] + masks[0] - masks[1]
        return y if flag else -y


def test_keyword_and_nested_inputs_are_called_by_their_keys():
    one = torch.zeros(2, 3)
    example = {"masks": [one, one], "image": one, "scale": {"factor": one}, "flag": False, "offset": None}
    graph = checked(Keyed(), example)
    assert set(graph.inputs) == {"image", "scale_factor", "masks_0", "masks_1"}
    assert graph.source.notes == ("batch bound to 1 (the example has 2)",)


def test_positional_inputs_may_be_nested():
    graph = checked(Network(lambda m, pair: pair[0] - 2 * pair[1]), ((torch.zeros(1, 3), torch.zeros(1, 3)),))
    assert len(graph.inputs) == 2


def test_tokens_go_through_an_embedding():
    net = Network(lambda m, ids: m.head(m.table(ids).mean(1)), table=nn.Embedding(9, 4, padding_idx=0),
                  head=nn.Linear(4, 2))
    graph = load_checked_on(net, torch.zeros(1, 5, dtype=torch.int64))
    assert dtypes(graph) == {"inputs_0": "int64"} and kinds(graph)[0] == "gather"


def test_a_class_conditions_an_image():
    """A whole number for each sample needs no other axis than the batch."""
    net = Network(lambda m, x, label: x + m.table(label)[:, :, None, None], table=nn.Embedding(3, 4))
    example = (torch.zeros(1, 4, 2, 2), torch.zeros(1, dtype=torch.int32))
    assert dtypes(checked(net, example)) == {"inputs_0": "float32", "inputs_1": "int32"}


def test_a_mask_of_truth_values():
    net = Network(lambda m, x, mask: x.masked_fill(mask, 0.0) + torch.where(~mask, 1.0, x))
    example = (torch.zeros(1, 6), torch.zeros(1, 6, dtype=torch.bool))
    assert dtypes(checked(net, example)) == {"inputs_0": "float32", "inputs_1": "bool"}


def test_bytes_that_become_floats_are_fed_as_floats():
    net = Network(lambda m, x: m.conv(x.float() / 255), conv=nn.Conv2d(3, 2, 3))
    graph = checked(net, (torch.zeros(1, 3, 6, 6, dtype=torch.uint8),))
    assert dtypes(graph) == {"inputs_0": "float32"} and "cast" not in kinds(graph)
    assert graph.source.notes == ("input inputs_0 is float32 and takes the values of uint8",)
    frame = np.random.default_rng(0).integers(0, 256, (1, 3, 6, 6)).astype(np.uint8)
    oracle = module_oracle(net, graph, (torch.from_numpy(frame),))
    result = oracle({"inputs_0": frame.astype(np.float32)}, ())[graph.outputs[0]]
    with torch.no_grad():
        np.testing.assert_array_equal(result, net(torch.from_numpy(frame)).numpy())


def test_bytes_that_stay_whole_are_fed_as_whole_numbers():
    net = Network(lambda m, x: torch.arange(256.0)[x.long()])
    graph = checked(net, (torch.zeros(1, 6, dtype=torch.uint8),))
    assert dtypes(graph) == {"inputs_0": "int32"}


def test_a_constant_argument_is_no_input():
    graph = checked(Keyed(), {"image": torch.zeros(1, 3), "scale": {"factor": torch.zeros(1, 3)},
                              "masks": (torch.zeros(1, 3), torch.zeros(1, 3)), "flag": True})
    assert len(graph.inputs) == 4


def test_the_oracle_leaves_its_feeds_alone():
    """A module that changes its input in place does not change the caller's."""
    net = Network(lambda m, x: x.relu_() * 2)
    graph = load_torch(net, (torch.zeros(1, 3),), "net")
    feed = np.float32([[-1, 0, 1]])
    module_oracle(net, graph)({graph.inputs[0]: feed}, ())
    assert feed.tolist() == [[-1, 0, 1]]


def test_a_float_that_the_module_truncates_is_compared_whole():
    graph = load_checked_on(Network(lambda m, x: (3 * x).to(torch.int32)), torch.zeros(1, 5))
    assert graph.tensors[graph.outputs[0]].dtype == "int32"
