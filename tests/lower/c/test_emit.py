"""What write_c gives: files that stand alone, the reference's codes, one error for all that C cannot take."""

import ctypes
from dataclasses import replace
import subprocess
from time import process_time

import numpy as np
import pytest

from tests.c_host import SANITIZED, compile_c, compile_graphs
from tests.lower.c.nets import Net, residual_net, two_ended_net
from toolchain.errors import Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.ir.passes import canonical
from toolchain.ir.quant import QuantParams
from toolchain.load import load
from toolchain.lower.c.emit import CALLS, write_c
from toolchain.lower.c.machine import Machine
from toolchain.runtime import reference


def random_feeds(graph: Graph, count: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    span = {"int8": (-128, 128), "bool": (0, 2), "int64": (0, 9)}
    return {t.name: rng.integers(*span[t.dtype], (count, *t.shape[1:])).astype(t.dtype)
            for t in map(graph.tensors.get, graph.inputs)}


def vectors(graph: Graph) -> dict[str, np.ndarray]:
    feeds = random_feeds(graph, 3)
    outputs = reference.run(graph, feeds)
    return {f"input/{k}": v for k, v in feeds.items()} | {f"output/{k}": v for k, v in outputs.items()}


def copying_net() -> Graph:
    """Outputs that are an input, and one tensor twice; an operand that is a constant."""
    net = Net("copying")
    x = net.codes_in("x", 1, 6)
    one = net.constant("one", np.arange(6, dtype=np.int8), QuantParams(0.1, 0))
    return net.finish(x, net.make("add", (x, one), "y"), "y")


def choosing_net() -> Graph:
    """A mask and tokens come in, codes and the index of the largest go out."""
    net = Net("choosing")
    x, mask = net.codes_in("x", 1, 4, 6), net.input("mask", (1, 4, 1), "bool")
    table = net.constant("table", net.rng.integers(-128, 128, (9, 6)).astype(np.int8), QuantParams(0.05, 3))
    row = net.make("gather", (table, net.input("tokens", (1, 4), "int64")), "row", 0.05, 3, axis=0)
    chosen = net.make("select", (mask, x, row), "chosen", 0.05, 3)
    index = net.op("reshape", (net.op("argmax", (chosen,), "largest", axis=2),), "index", shape=(1, 2, 2))
    return net.finish(index, chosen, index)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    graphs = [residual_net(), two_ended_net(), copying_net(), choosing_net()]
    return compile_graphs(graphs, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("index", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["own buffers", "arena"])
def test_codes_are_the_references(models, index, where):
    model = models[index] if where == "own buffers" else models[index].in_arena()
    feeds = random_feeds(model.graph)
    expected, got = reference.run(model.graph, feeds), model.run(feeds)
    assert [name for name in expected if not np.array_equal(got[name], expected[name])] == []


def test_every_int8_op_has_a_kernel():
    assert {kind for kind, row in OPS.items() if "int8" in row.dtypes} - {"dequantize"} == set(CALLS)


def test_only_the_kernels_that_are_called():
    sources = {name for name in write_c(two_ended_net()).files if name.endswith(".c")}
    assert sources == {"model.c", "tk_mul_s8.c", "tk_mean_s8.c"}


def test_the_same_bytes_every_time():
    assert dict(write_c(residual_net()).files) == dict(write_c(residual_net()).files)


def test_equal_constants_are_printed_once():
    """Two layers with the same weights, and the same curve twice."""
    net = Net("twins")
    x = net.codes_in("x", 1, 8)
    weights = net.weights("w", x, (8, 8))
    first = net.make("fully_connected", (x, *weights), "first", 0.05, 3)
    second = net.make("fully_connected", (first, *weights), "second", 0.05, 3)
    curve = net.make("tanh", second, "curve", 1 / 128, 0)
    other = net.make("tanh", first, "other", 1 / 128, 0)
    text = write_c(net.finish(curve, other)).files["model.c"].decode()
    assert text.count("first_weight[") == 1 and "second_" not in text
    assert text.count("tk_fully_connected_s8(&first_params,") == 2 and text.count("[256] = {") == 1


def test_the_hook_is_called_between_steps_and_costs_nothing_without(tmp_path):
    graph = residual_net()
    for name, data in write_c(graph, "net").files.items():
        (tmp_path / name).write_bytes(data)
    hook = "void tk_layer(uint32_t step) { steps = steps * 10 + step + 1; }"
    (tmp_path / "hook.c").write_text(f'#include "model.h"\nuint32_t steps;\n{hook}\n')
    units = sorted(tmp_path.glob("*.c"))
    compile_c(units, tmp_path / "net.so", ["-shared", "-fPIC", "-DTK_LAYERS"], [tmp_path])
    library = ctypes.CDLL(str(tmp_path / "net.so"))
    buffers = [np.zeros(4096, np.uint8) for _ in range(3)]
    library.net_invoke(*(ctypes.c_void_p(buffer.ctypes.data) for buffer in buffers))
    count = ctypes.c_uint32.in_dll(library, "net_layer_count").value
    assert ctypes.c_uint32.in_dll(library, "steps").value == 12345678 and count == 7
    titles = (ctypes.c_char_p * count).in_dll(library, "net_layers")
    assert titles[0] == b"stem: conv2d [1, 8, 8, 3] -> [1, 8, 8, 6], 10,368 MACs"
    compile_c([tmp_path / "model.c"], tmp_path / "model.o", ["-c"], [tmp_path])
    assert b"tk_layer" not in (tmp_path / "model.o").read_bytes()


@pytest.mark.parametrize("isa", ["", "armv7e-m", "armv8.1-m.main+mve", "armv6-m"])
def test_a_network_is_written_in_two_seconds(kit, isa):
    """CPU seconds; MLPerf Tiny's largest. The same bytes both times."""
    graph = canonical(load(str(kit / "models" / "vww_96_int8.tflite")))
    start = process_time()
    files = write_c(graph, machine=Machine(isa)).files
    assert process_time() - start < 2
    assert dict(write_c(graph, machine=Machine(isa)).files) == dict(files)


def test_figures():
    source = write_c(residual_net())
    weights = 162 + 6 * 9 + 54 + 6 * 9 + 256 + 30 + 5 * 9 + 256 * 4
    assert (source.weight_bytes, source.macs) == (weights, 10368 + 3456 + 30)
    assert source.arena_bytes == source.plan.peak_bytes and source.peak_op == "dw"
    assert f"#define RESIDUAL_WEIGHT_BYTES {weights}u".encode() in source.files["model.h"]


def test_selftest_finds_nothing_and_finds_a_fault(tmp_path):
    """Under address and undefined-behaviour sanitizers, in a program of its own."""
    graph = residual_net()
    good = vectors(graph)
    bad = good | {"output/probability": good["output/probability"] ^ np.int8(1)}
    codes = []
    for number, given in enumerate((good, bad)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, data in write_c(graph, vectors=given).files.items():
            (folder / name).write_bytes(data)
        compile_c(sorted(folder.glob("*.c")), folder / "selftest",
                  ["-O1", "-fsanitize=address", *SANITIZED, "-DRESIDUAL_SELFTEST_MAIN"])
        codes.append(subprocess.run([folder / "selftest"], timeout=60).returncode)
    assert codes == [0, 1]


def test_what_is_no_code_has_no_scale_and_its_own_size():
    files = write_c(choosing_net(), vectors=vectors(choosing_net())).files
    header = files["model.h"].decode()
    assert "/* mask: bool [1, 4, 1] */" in header and "/* index: int32 [1, 2, 2] */" in header
    assert "CHOOSING_OUTPUT_0_BYTES 16u" in header and "CHOOSING_OUTPUT_0_SCALE" not in header
    assert b"static const int32_t test_output_0[SAMPLES][4]" in files["selftest.c"]


def test_two_models_link_together(tmp_path):
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        for file, data in write_c(residual_net(), name).files.items():
            (tmp_path / file if file.startswith("tk_") else folder / file).write_bytes(data)
    units = sorted([*tmp_path.glob("*.c"), *tmp_path.glob("*/*.c")])
    compile_c(units, tmp_path / "both.so", ["-shared", "-fPIC"], [tmp_path])
    library = ctypes.CDLL(str(tmp_path / "both.so"))
    assert library.first_invoke and library.second_invoke and library.first_model and library.second_model


def with_names(graph: Graph, name: str) -> Graph:
    """The graph and all its tensors called `name`, tensors with a number after it."""
    new = {old: f"{name}{i}" for i, old in enumerate(graph.tensors)}
    tensors = {new[old]: replace(tensor, name=new[old]) for old, tensor in graph.tensors.items()}
    ops = [replace(op, inputs=_all(new, op.inputs), outputs=_all(new, op.outputs)) for op in graph.ops]
    return Graph(name, tensors, tuple(ops), _all(new, graph.inputs), _all(new, graph.outputs))


def _all(new: dict[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(new[name] for name in names)


def test_names_of_an_untrusted_file_compile(tmp_path):
    """Comment ends, quotes, line ends, trigraphs and preprocessor lines in every name."""
    renamed = with_names(residual_net(), '*/ int main(){} "\n#error x\n??/ \\ ü \0')
    model, = compile_graphs([renamed], tmp_path)
    feeds = random_feeds(renamed)
    got, expected = model.run(feeds), reference.run(renamed, feeds)
    assert np.array_equal(got[renamed.outputs[0]], expected[renamed.outputs[0]])
    assert all(data.isascii() for data in write_c(renamed, vectors=vectors(renamed)).files.values())


def test_all_that_is_unsupported_is_in_one_error():
    build = Builder("mixed")
    x = build.input("x", (1, 4))
    codes = build.op("quantize", (x,), "codes", dtype="int8", quant=QuantParams(0.1, 0))
    wide = build.op("concat", (codes, codes), "wide", axis=1, quant=QuantParams(0.2, 0))
    build.op("dequantize", (wide,), "y", dtype="float32")
    with pytest.raises(Unsupported) as caught:
        write_c(build.graph("y"))
    assert str(caught.value).splitlines() == [
        "mixed in C: 5 unsupported:",
        "  x: the input is float32; in C it can be int8, uint8, int16, bool, int32",
        "  y: the output is float32; in C it can be int8, uint8, int16, int32",
        "  codes: quantize: x is float32; C is integer only: quantize to int8, inputs and outputs too",
        "  wide: int8 concat hands codes on as they are, but codes has scale 0.10000000149011612, zero "
        "point 0 and the output 0.20000000298023224, 0. Put a quantize op between",
        "  y: dequantize: y is float32; C is integer only: quantize to int8, inputs and outputs too"]


def test_limits_are_loud():
    net = Net("limits")
    x = net.codes_in("x", 1, 2, 2, 2, 2, 2, 2, 2, 2, 2)
    moved = net.make("transpose", x, "moved", 0.05, 3, perm=(0, 9, 2, 7, 4, 5, 6, 3, 8, 1))
    long = net.make("softmax", net.codes_in("logits", 1, 4096), "long", 1 / 256, -128)
    image = net.codes_in("image", 1, 4, 4, 1)
    pooled = net.make("max_pool2d", image, "pooled", 0.05, 3, kernel=(2, 2), pads=(2, 0, 0, 0))
    with pytest.raises(Unsupported) as caught:
        write_c(net.finish(moved, long, pooled))
    assert [item.split(" ")[0] for item in caught.value.items] == ["moved:", "long:", "pooled:"]


def test_sums_that_could_overflow_are_refused():
    net = Net("deep")
    x = net.codes_in("x", 1, 2**17)
    y = net.make("fully_connected", (x, *net.weights("w", x, (1, 2**17))), "y")
    graph = net.finish(y)
    with pytest.raises(Unsupported, match="adds 131,072 products, C takes fewer than 131,072"):
        write_c(graph)
