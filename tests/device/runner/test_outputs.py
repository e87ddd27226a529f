"""What the runners compute is what the toolchain's own runtimes do, bit for bit."""

import numpy as np
from onnx import TensorProto, helper
import pytest

from tests.device.runner.conftest import HERE
from tests.device.runner.running import Runner, random_feeds
from tests.lower.c.nets import residual_net, two_ended_net
from tests.random_nets import modern_net, quantized, random_net
from toolchain.device.runner.native import RUNNER, build_runner
from toolchain.ir.build import Builder
from toolchain.ir.quant import QuantParams
from toolchain.lower.borders import file_ports
from toolchain.lower.c.emit import write_c
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite
from toolchain.port import Port
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT
from toolchain.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.oracle
COUNT = 3


def mixed_net():
    """bool, int32 and float32 in; int32 and bool out."""
    net = Builder("mixed")
    condition = net.input("condition", (1, 5), "bool")
    a, b = net.input("a", (1, 5), "int32"), net.input("b", (1, 5), "int32")
    x, y = net.input("x", (1, 3, 2)), net.input("y", (1, 3, 2))
    chosen = net.op("select", (condition, a, b), "chosen")
    return net.graph(chosen, net.op("compare", (x, y), "greater", relation="greater"))


def wide_net():
    """int16 in and out."""
    net, params = Builder("wide"), QuantParams(0.001, 0, dtype="int16")
    x = net.input("x", (1, 4, 3), "int16", params)
    return net.graph(net.op("reshape", (x,), "flat", quant=params, shape=(1, 12)))


TFLITE = {
    "float": lambda: write_tflite(random_net(3)),
    "several outputs": lambda: write_tflite(modern_net(1)),
    "int8": lambda: write_tflite(residual_net()),
    "uint8": lambda: write_tflite(residual_net(), io="uint8"),
    "several inputs": lambda: write_tflite(two_ended_net()),
    "float borders": lambda: write_tflite(quantized(random_net(5)), io="float32"),
    "mixed": lambda: write_tflite(mixed_net()),
    "int16": lambda: write_tflite(wide_net()),
}
ONNX = {
    "float": lambda: write_onnx(random_net(3)),
    "several outputs": lambda: write_onnx(modern_net(1)),
    "int8": lambda: write_onnx(quantized(random_net(5)), activations="int8", input_io="int8"),
    "uint8": lambda: write_onnx(quantized(random_net(5)), input_io="uint8"),
    "several inputs": lambda: write_onnx(two_ended_net()),
    "mixed": lambda: write_onnx(mixed_net()),
    "every type": lambda: every_type(),
}
ELEMENTS = ("BOOL", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64", "FLOAT16",
            "FLOAT", "DOUBLE")


def every_type() -> bytes:
    """An identity for each type of number, of 1 to 12 values: in a file of samples, most lie unaligned."""
    def values(side: str):
        return [helper.make_tensor_value_info(f"{side} {element}", getattr(TensorProto, element), [1, i])
                for i, element in enumerate(ELEMENTS, start=1)]
    inputs, outputs = values("in"), values("out")
    nodes = [helper.make_node("Identity", [a.name], [b.name]) for a, b in zip(inputs, outputs, strict=True)]
    graph = helper.make_graph(nodes, "every_type", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=8).SerializeToString()


def assert_same(runner: Runner, runtime: str, model: bytes, ours, threads: int = 1) -> None:
    session = ours(model)
    feeds = random_feeds(session.inputs, COUNT)
    got, record = runner.outputs(runtime, model, session.inputs, session.outputs, feeds, threads=threads)
    for name, value in session.run(feeds).items():
        np.testing.assert_array_equal(got[name], value, strict=True)
    for told, ports in ((record.inputs, session.inputs), (record.outputs, session.outputs)):
        assert [(p.name, p.dtype, p.shape) for p in told] == [(p.name, p.dtype, p.shape) for p in ports]
    assert record.inferences == COUNT and record.load_ns > 0 and record.first_ns > 0


@pytest.mark.parametrize("name", TFLITE)
def test_litert(runner, name):
    assert_same(runner, "litert", TFLITE[name](), LiteRT)


@pytest.mark.parametrize("name", ONNX)
def test_onnx_runtime(runner, name):
    assert_same(runner, "onnxruntime", ONNX[name](), OnnxRuntime)


@pytest.mark.parametrize("runtime, model, ours", [("litert", TFLITE, LiteRT),
                                                  ("onnxruntime", ONNX, OnnxRuntime)])
def test_two_threads(runner, runtime, model, ours):
    assert_same(runner, runtime, model["int8"](), ours, threads=2)


def test_inputs_are_in_the_order_of_the_file_and_not_of_its_signature(native):
    """LiteRT's buffers are in the order of the signature's names."""
    net = Builder("crossed")
    z, a = net.input("zzz", (1, 3)), net.input("aaa", (1, 4))
    outputs = (net.op("exp", (z,), "y_of_z"), net.op("abs", (a,), "b_of_a"))
    assert_same(native, "litert", write_tflite(net.graph(*outputs)), LiteRT)


@pytest.fixture(params=["residual", "two ended", "random"])
def coded(request):
    """A network in codes, and its own C in a runner."""
    return {"residual": residual_net, "two ended": two_ended_net,
            "random": lambda: quantized(random_net(5))}[request.param]()


def c_runner(graph, folder, layers: bool = False) -> Runner:
    path = folder / RUNNER
    path.write_bytes(build_runner(HERE, "c", write_c(graph).files, layers=layers))
    path.chmod(0o755)
    return Runner([str(path)], folder)


def c_ports(graph) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    return file_ports(graph, graph.inputs, "c"), file_ports(graph, graph.outputs, "c")


def test_generated_c_is_the_reference(coded, tmp_path):
    inputs, outputs = c_ports(coded)
    feeds = random_feeds(inputs, COUNT)
    got, record = c_runner(coded, tmp_path).outputs("c", "-", inputs, outputs, feeds)
    for name, value in reference.run(coded, feeds).items():
        np.testing.assert_array_equal(got[name], value)
    assert record.runtime == "generated C" and not record.inputs


def test_generated_c_is_timed_by_layer(tmp_path):
    graph = residual_net()
    runner = c_runner(graph, tmp_path, layers=True)
    given = runner.file("input", random_feeds(c_ports(graph)[0], 1)["x"].tobytes())
    ops = runner.record("c", "profile", "-", input=given, least=20, most=20).ops
    assert [op.index for op in ops] == list(range(7)) and all(op.executions == 20 for op in ops)
    assert ops[0].name.startswith("stem: conv2d") and ops[0].ns > 0


def test_c_without_layers_refuses_to_profile(tmp_path):
    graph = residual_net()
    runner = c_runner(graph, tmp_path)
    given = runner.file("input", bytes(192))
    assert runner.refusal("c", "profile", "-", f"input={given}") == (
        2, "this runner was built without layers (TK_LAYERS)")
    assert runner.refusal("c", "run", "x.c", f"input={given}")[0] == 2
    assert runner.refusal("litert", "run", "-", f"input={given}") == (2, "no runtime litert in this runner")
