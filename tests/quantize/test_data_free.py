"""Ranges without data against norms, samples of them, and a trained network."""

from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image
import pytest

from tests.quantize.nets import Net, run_quantized
from toolchain.data import Samples
from toolchain.errors import Unsupported
from toolchain.execution import watch
from toolchain.ir.graph import Frames, Graph, Metadata, constant
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.lower.tflite import write_tflite
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.data_free import ranges_from_batch_norm
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rules import observed
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference
from toolchain.runtime.litert import LiteRT


class NormNet(Net):
    """A Net whose batch norms remember what normal noise makes of their inputs, as training leaves them."""

    def norm(self, x: str, output: str) -> str:
        channels = self.tensors[x].shape[-1]
        draw = {"gamma": self.rng.uniform(0.5, 1.5, channels), "beta": self.rng.normal(0, 0.5, channels),
                "mean": np.zeros(channels), "variance": np.ones(channels)}
        parts = [self.constant(f"{output}.{name}", value.astype(np.float32)) for name, value in draw.items()]
        return self.op("batch_norm", [x, *parts], output, epsilon=0.0)


INPUTS = {"x": (-2.0, 2.0)}


def settled(graph: Graph, seed: int = 3, count: int = 300) -> tuple[Graph, dict[str, np.ndarray]]:
    """The graph with its norms' statistics those of noise that is uniform in [-2, 2]; and such noise."""
    x = np.random.default_rng(seed).uniform(-2, 2, (count, *graph.tensors["x"].shape[1:])).astype(np.float32)
    for op in graph.ops:
        if op.kind == "batch_norm":
            name = op.inputs[0]
            seen = reference.run(graph, {"x": x}, keep=(name,))[name]
            seen = seen.reshape(-1, seen.shape[-1])
            moments = seen.mean(axis=0), seen.var(axis=0)
            graph = graph.with_tensors(*map(constant, op.inputs[3:], moments))
    return graph, {"x": x}


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "hard_swish", "tanh"])
def test_the_range_behind_a_norm_is_beta_and_six_gammas_through_the_activation(activation):
    net = NormNet()
    y = net.norm(net.conv(net.input("x", (1, 6, 6, 2)), 5, "conv"), "norm")
    source = net.graph(net.op("mean", [y if activation is None else net.op(activation, [y], "act")], "out",
                              axes=(1, 2)))
    graph = canonical(source)
    found = ranges_from_batch_norm(source, graph, INPUTS)
    gamma, beta = (source.tensors[f"norm.{part}"].data for part in ("gamma", "beta"))
    ends = np.linspace(beta - 6 * gamma, beta + 6 * gamma, 100_001)
    bend = {None: lambda z: z, "relu": lambda z: np.maximum(z, 0), "relu6": lambda z: np.clip(z, 0, 6),
            "hard_swish": lambda z: z * np.clip(z + 3, 0, 6) / 6, "tanh": np.tanh}[activation]
    name = next(name for name in ("act", "norm") if name in found) if activation != "tanh" else "norm"
    exact = bend(ends) if activation != "tanh" else ends
    assert found[name].range == pytest.approx((exact.min(), exact.max()), rel=2e-3, abs=2e-3)
    assert found["x"].range == (-2, 2)
    assert set(found) == set(observed(graph))


def photographs(kit) -> list[Image.Image]:
    with np.load(kit / "imagenet_photos" / "photos224_0.npz") as photos:
        ends, jpeg = photos["offset"][:41], photos["jpeg"]
    return [Image.open(BytesIO(jpeg[a:b].tobytes())).convert("RGB") for a, b in zip(ends, ends[1:])]


def branched() -> Graph:
    """A residual sum, a gate, a concatenation, pools, a classifier: what has no batch norm of its own."""
    net = NormNet(seed=4)
    stem = net.norm(net.conv(net.input("x", (1, 8, 8, 3)), 8, "stem"), "stem.bn")
    stem = net.op("relu", [stem], "stem.act")
    branch = net.norm(net.conv(stem, 8, "branch"), "branch.bn")
    total = net.op("relu", [net.op("add", [stem, branch], "sum")], "sum.act")
    gate = net.op("logistic", [net.norm(net.conv(total, 8, "gate", kernel=1), "gate.bn")], "gate.act")
    joined = net.op("concat", [net.op("mul", [total, gate], "gated"), stem], "joined", axis=3)
    swish = net.norm(net.conv(joined, 6, "swish"), "swish.bn")
    silu = net.op("mul", [swish, net.op("logistic", [swish], "swish.sigmoid")], "silu")
    pooled = net.op("mean", [net.op("max_pool2d", [silu], "pool", kernel=(2, 2), stride=(2, 2))], "flat",
                    axes=(1, 2))
    return net.graph(net.dense(pooled, 4, "dense"))


def test_ranges_cover_what_networks_of_such_norms_make_and_little_more():
    source, feeds = settled(branched())
    graph = canonical(source)
    found = ranges_from_batch_norm(source, graph, INPUTS)
    seen = reference.run(graph, feeds, keep=observed(graph)) | feeds
    assert set(found) == set(observed(graph)) >= {"gated", "silu", "flat", "dense"}
    for name, stats in found.items():
        low, high = stats.range
        half_step = (high - low) / 510
        assert np.mean((seen[name] >= low - half_step) & (seen[name] <= high + half_step)) > 0.9999, name
        assert high - low <= 4 * np.ptp(seen[name]), name


def test_a_gate_of_its_own_input_is_a_curve():
    """silu is never below -0.279, however far below 0 its input goes."""
    source, _ = settled(branched())
    found = ranges_from_batch_norm(source, canonical(source), INPUTS)
    assert found["silu"].low == pytest.approx(-0.279, abs=2e-3)


def sqnr_db(graph: Graph, quantized: Graph, feeds: dict[str, np.ndarray]) -> float:
    exact, found = reference.run(graph, feeds), run_quantized(quantized, feeds)
    return min(10 * np.log10(np.square(y).sum() / np.square(y - found[name]).sum())
               for name, y in exact.items())


def test_int8_without_data_is_nearly_as_good_as_with():
    source, feeds = settled(branched())
    graph = canonical(source)
    noise, held_out = {"x": feeds["x"][:100]}, {"x": feeds["x"][100:200]}
    stats = calibrate(graph, CalibrateConfig(), Samples("noise", noise, None, None, np.arange(100)))
    without = sqnr_db(graph, quantize(graph, ranges_from_batch_norm(source, graph, INPUTS)), held_out)
    assert without > sqnr_db(graph, quantize(graph, stats), held_out) - 6


@pytest.mark.slow
def test_a_trained_network_in_int8_without_data(kit):
    """EfficientNet-Lite0: SQNR of its logits on 8 photographs, beside min-max of 32 others."""
    source = load("docs/examples/efficientnet_lite0/model.py:pretrained")
    graph = canonical(source)
    pixels = np.stack([np.asarray(image, np.float32) for image in photographs(kit)])
    name, = graph.inputs
    inner = (pixels - 127) / 128
    photos = Samples("photos", {name: inner[8:].transpose(0, 3, 1, 2)}, None, None, np.arange(32))
    stats, feeds = calibrate(graph, CalibrateConfig(), photos, watch), {name: inner[:8]}
    exact = LiteRT(write_tflite(graph)).run(feeds)

    def db(stats) -> float:
        found = LiteRT(write_tflite(quantize(graph, stats), io="float32")).run(feeds)
        return min(10 * np.log10(np.square(y).sum() / np.square(y - found[out]).sum())
                   for out, y in exact.items())

    without, with_data = db(ranges_from_batch_norm(source, graph, {name: (-127 / 128, 1)})), db(stats)
    print(f"without data {without:.1f} dB, min-max {with_data:.1f} dB")
    assert without > with_data - 6


def test_pixels_know_their_range_and_other_inputs_are_stated():
    source = branched()
    graph = canonical(source)
    with pytest.raises(Unsupported, match=r"x: an input of unknown range; set \[calibrate\] input_range"):
        ranges_from_batch_norm(source, graph)
    pixels = Metadata(frames={"x": Frames((0.0, 10.0, 20.0), (5.0, 10.0, 20.0))})
    assert ranges_from_batch_norm(replace(source, metadata=pixels), graph)["x"].range == (-1, 51)


def test_what_no_batch_norm_tells_is_named_all_at_once():
    net = NormNet()
    x = net.norm(net.conv(net.input("x", (1, 2, 3, 4)), 4, "conv"), "norm")
    x = net.op("reshape", [x], "flat", shape=(1, 6, 4))
    scores = net.op("batch_matmul", [x, x], "scores", transpose_b=True)
    out = net.op("add", [net.op("softmax", [scores], "weights"), net.input("y", (1, 6, 6))], "out")
    source = net.graph(out)
    with pytest.raises(Unsupported) as error:
        ranges_from_batch_norm(source, canonical(source), INPUTS)
    assert [line.split(",")[0] for line in error.value.items] == [
        "y: an input of unknown range; set [calibrate] input_range", "scores: batch_matmul", "out: add"]


def test_a_network_without_batch_norms_is_refused():
    net = Net()
    graph = net.graph(net.conv(net.input("x", (1, 4, 4, 2)), 3, "conv"))
    with pytest.raises(Unsupported, match="net holds no batch norms that ranges could be told from; give"):
        ranges_from_batch_norm(graph, graph, INPUTS)
