"""Values are called after the modules that made them, where the exporter tells."""

import numpy as np
from onnx import helper
import pytest

from tests.load.onnx_models import IMAGE, ROWS, model_of, node, normal
from toolchain.ir.graph import Graph
from toolchain.ir.layout import channels_last
from toolchain.load.onnx import load_onnx
from toolchain.load.onnx_file import read_onnx
from toolchain.runtime.onnxruntime import OnnxRuntime


def plain_names(graph: Graph) -> list[str]:
    """Of the ops, scaffolding left out."""
    return [op.name for op in graph.ops if ":" not in op.name]


def torch_scope(path: str, call: str) -> str:
    parts = path.split(".")
    return str(["", *(".".join(parts[:i + 1]) for i in range(len(parts))), call])


def test_names_are_module_paths_from_dynamos_metadata():
    steps = [("Conv", "x features.0.weight", "conv2d", "features.0"),
             ("Relu", "conv2d", "relu", "features.1"),
             ("Sigmoid", "relu", "sigmoid", "features"),
             ("Relu", "sigmoid", "y", "features.1")]
    nodes = [node(op, inputs, output) for op, inputs, output, _ in steps]
    for made, (_, _, output, path) in zip(nodes, steps):
        helper.set_model_props(made, {"pkg.torch.onnx.name_scopes": torch_scope(path, output)})
    graph = load_onnx(model_of(nodes, {"x": IMAGE}, {"features.0.weight": normal(4, 6, 1, 1)}), "net")
    assert plain_names(graph) == ["features.0", "features.1", "features.sigmoid", "y"]
    assert {t.name for t in graph.constants} == {"features.0.weight", "features.0.bias"}


def test_names_are_module_paths_from_the_older_exporters_node_names():
    steps = [("Identity", "onnx::Conv_7", "onnx::Conv_9", "Identity_0"),
             ("Conv", "input.1 onnx::Conv_6 onnx::Conv_9", "/layer1/layer1.0/conv1/Conv_output_0",
              "/layer1/layer1.0/conv1/Conv"),
             ("Relu", "/layer1/layer1.0/conv1/Conv_output_0", "/layer1/layer1.0/relu/Relu_output_0",
              "/layer1/layer1.0/relu/Relu"),
             ("Add", "/layer1/layer1.0/relu/Relu_output_0 input.1", "/layer1/layer1.0/Add_output_0",
              "/layer1/layer1.0/Add"),
             ("Flatten", "/layer1/layer1.0/Add_output_0", "/Flatten_output_0", "/Flatten"),
             ("Gemm", "/Flatten_output_0 fc.weight", "42", "/fc/Gemm")]
    nodes = [node(op, inputs, output, name) for op, inputs, output, name in steps]
    constants = {"onnx::Conv_6": normal(6, 6, 1, 1), "onnx::Conv_7": normal(6), "fc.weight": normal(432, 4)}
    graph = load_onnx(model_of(nodes, {"input.1": IMAGE}, constants, outputs=("42",)), "net")
    assert plain_names(graph) == ["layer1.0.conv1", "layer1.0.relu", "layer1.0.add", "flatten", "42"]
    assert {t.name for t in graph.constants} == {"layer1.0.conv1.weight", "layer1.0.conv1.bias", "fc.weight",
                                                 "42.bias"}


def test_other_names_stay_but_for_colons():
    nodes = [node("Relu", "x:0", "model/relu/Relu:0"), node("Tanh", "model/relu/Relu:0", "out:0")]
    graph = load_onnx(model_of(nodes, {"x:0": ROWS}, outputs=("out:0",)), "net")
    assert [op.name for op in graph.ops] == ["model/relu/Relu", "out:0"] and graph.inputs == ("x:0",)


def test_an_input_keeps_its_colons_behind_views_too():
    nodes = [node("Transpose", "onnx::Transpose_0", "turned", perm=[0, 2, 1]), node("Relu", "turned", "y")]
    graph = channels_last(load_onnx(model_of(nodes, {"onnx::Transpose_0": (1, 3, 4)}), "net"))
    assert graph.inputs == ("onnx::Transpose_0",) and graph.inputs[0] in graph.tensors


@pytest.mark.oracle
def test_inner_values_can_be_asked_of_the_source_by_readable_names():
    nodes = [node("Relu", "x", "/act/Relu_output_0", "/act/Relu"), node("Tanh", "/act/Relu_output_0", "y")]
    model = read_onnx(model_of(nodes, {"x": ROWS}), "net").with_outputs(["act", "y", "x", "nowhere"])
    got = OnnxRuntime(model).run({"x": normal(*ROWS)})
    np.testing.assert_array_equal(got["act"], np.maximum(normal(*ROWS), 0))
    assert set(got) == {"act", "y"}
