"""Raw frames in: what is pinned, folded or put in front, and that samples are fed as the frames they are."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.quantize.nets import Net
from toolchain.data import Preprocessing, Samples, load_samples
from toolchain.errors import BadConfig, BadSamples, Unsupported
from toolchain.input_section import ResizeConfig
from toolchain.ir.graph import Frames, Graph
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize
from toolchain.pipeline import prepare, samples_for
from toolchain.preprocess import fold_frames, frame_samples, network_samples, pixel_codes, with_labels
from toolchain.recipe import (
    CalibrateConfig,
    InputConfig,
    PruneConfig,
    QuantSpec,
    Recipe,
    load_recipe,
)
from toolchain.runtime import reference
from toolchain.vectors import vectors_of

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (16, 8, 8, 3), np.uint8)
CLASSES = ("cat", "dog", "fox", "owl")


def network(pad: int = 1, channels: int = 3) -> Graph:
    """x (1, 8, 8, 3) -> conv 3x3 + relu -> mean -> 4 classes."""
    net = Net("net")
    x = net.input("x", (1, 8, 8, channels))
    y = net.op("conv2d", [x, net.weights("w", 8, 3, 3, channels), net.weights("b", 8)], "conv",
               pads=(pad,) * 4, activation="relu")
    return canonical(net.graph(net.dense(net.op("mean", [y], "mean", axes=(1, 2)), 4, "classes")))


def pixels(x: np.ndarray = PIXELS, **more) -> Samples:
    return Samples("pixels", {"x": x}, None, None, np.arange(len(x)), **more)


def recipe(scheme: str = "static_wi8_ai8", **keys) -> Recipe:
    return Recipe(input=InputConfig(**keys), quantize=QuantSpec(scheme=scheme),
                  calibrate=CalibrateConfig(samples=16))


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


# What becomes of the normalization ------------------------------------------------------------------------

def test_a_whole_mean_costs_nothing_pixels_are_codes():
    graph = prepare(network(), recipe(mean=127, std=128), pixels()).graph
    x = graph.tensors["x"]
    assert (float(x.quant.scale), int(x.quant.zero_point)) == (1 / 128, 127 - 128)
    assert kinds(graph) == kinds(network())
    assert graph.metadata.frames == {"x": Frames((127.0,), (128.0,), "rgb")}
    assert "zero point 127 and scale 1/128" in graph.source.notes[-1]


@pytest.mark.parametrize("keys, front", [
    ({"mean": 127, "std": 128}, []),
    ({"mean": 0, "std": 255}, []),
    ({"mean": 127.5, "std": 127.5}, ["depthwise_conv2d"]),
    ({"mean": 100, "std": (58.0, 57.0, 60.0)}, []),
    ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}, ["depthwise_conv2d"]),
    ({"mean": (123.675, 116.28, 103.53), "scale": 0.017, "colour": "bgr"}, ["conv2d"]),
    ({"mean": 127, "std": 128, "colour": "bgr"}, []),
    ({"mean": 127, "std": 128, "layout": "channels_first"}, ["transpose"]),
    ({"mean": 127, "std": 128, "dtype": "float32"}, ["depthwise_conv2d"])])
@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "float32"])
def test_frames_give_what_normalizing_by_hand_gives(keys, front, scheme):
    """Float to rounding, INT8 to a few codes."""
    wanted = recipe(scheme, **keys)
    prepared = prepare(network(), wanted, pixels())
    graph = prepared.graph
    if scheme == "static_wi8_ai8":
        assert kinds(graph) == front + kinds(network())
    mean, std = (np.asarray(keys.get(key, default), np.float32) for key, default in (("mean", 0), ("std", 1)))
    real = PIXELS[..., ::-1] if keys.get("colour") == "bgr" else PIXELS
    expected = reference.run(network(), {"x": keys.get("scale", 1) * (real - mean) / std})["classes"]
    seen = vectors_of(graph, samples_for(graph, wanted, pixels()), seed=0)
    got, span = seen["output/classes"], np.ptp(expected)
    if scheme == "static_wi8_ai8":
        assert np.array_equal(np.int16(seen["input/x"]) + 128, frames_of(graph)[:4])
        got = dequantize(got, graph.tensors["classes"].quant)
    assert np.abs(got - expected[:4]).max() <= (0.05 if scheme == "static_wi8_ai8" else 1e-5) * span


def frames_of(graph: Graph) -> np.ndarray:
    return PIXELS.transpose(0, 3, 1, 2) if graph.tensors["x"].shape[1] == 3 else PIXELS


def test_unpadded_convolutions_take_any_mean_in():
    keys = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    folded = fold_frames(network(pad=0), InputConfig(**keys), integer=True)
    assert kinds(folded) == kinds(network())
    assert folded.metadata.frames["x"] == Frames((0.0,), (1.0,), "rgb")
    codes = pixel_codes(folded.metadata.frames["x"], "int8")
    assert (float(codes.scale), int(codes.zero_point)) == (1.0, -128)


def test_a_float_network_takes_raw_pixels_as_floats():
    folded = fold_frames(network(), InputConfig(mean=127, std=128), integer=False)
    assert folded.metadata.frames["x"] == Frames((0.0,), (1.0,), "rgb")
    assert "a 1x1 convolution in front" in folded.source.notes[-1]


def test_larger_frames_are_resized_on_the_pixels_codes():
    keys = {"mean": 127, "std": 128, "resize": ResizeConfig(size=(16, 16))}
    frames = RNG.integers(0, 256, (16, 16, 16, 3), np.uint8)
    graph = prepare(network(), recipe(**keys), pixels(frames)).graph
    assert kinds(graph) == ["resize_bilinear", *kinds(network())]
    assert graph.tensors["x"].quant.same_as(graph.tensors["x.resized"].quant)


# What cannot be -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("graph, keys, message", [
    (network(), {"mean": (1, 2)}, r"\[input\] mean has 2 numbers, but the network's input has 3 channels"),
    (network(channels=2), {"colour": "bgr"}, "only images of 3 channels have a colour order")])
def test_frames_that_do_not_go_with_the_input(graph, keys, message):
    with pytest.raises(BadConfig, match=message):
        fold_frames(graph, InputConfig(**keys), integer=True)


def test_two_inputs_have_no_frames():
    net = Net("two")
    a, b = net.input("a", (1, 4)), net.input("b", (1, 4))
    with pytest.raises(BadConfig, match="two: takes a, b; .input. describes the frames of networks with one"):
        fold_frames(net.graph(net.op("add", [a, b], "y")), InputConfig(mean=1), integer=True)


def test_a_vector_is_not_resized():
    net = Net("vector")
    graph = net.graph(net.dense(net.input("x", (1, 3)), 4, "y"))
    with pytest.raises(BadConfig, match=r"input x is \(1, 3\), no image"):
        fold_frames(graph, InputConfig(layout="channels_first"), integer=True)


def test_a_quantized_network_takes_what_it_takes():
    graph = prepare(network(), recipe(mean=127, std=128), pixels()).graph
    with pytest.raises(Unsupported, match="already quantized: it cannot be pruned or trained, or take other"):
        prepare(graph, recipe(mean=127, std=128), None)


@pytest.mark.parametrize("scheme, own", [
    ("float32", "float32"), ("dynamic_wi8_afp32", "float32"), ("static_wi8_ai16", "int16")])
def test_uint8_for_another_network_than_int8_is_refused(scheme, own):
    with pytest.raises(BadConfig, match=rf'\[input\] dtype = "uint8" needs INT8, .* the input is {own};'):
        prepare(network(), recipe(scheme, mean=127, std=128, dtype="uint8"), pixels())


def test_pixels_are_int16_codes_too():
    wanted = recipe("static_wi8_ai16", mean=127, std=128)
    graph = prepare(network(), wanted, pixels()).graph
    seen = vectors_of(graph, samples_for(graph, wanted, pixels()), seed=0)
    assert seen["input/x"].dtype == np.int16 and np.array_equal(seen["input/x"], PIXELS[:4])
    expected = reference.run(network(), {"x": (np.float32(PIXELS[:4]) - 127) / 128})["classes"]
    got = dequantize(seen["output/classes"], graph.tensors["classes"].quant)
    assert np.abs(got - expected).max() <= 0.01 * np.ptp(expected)


# Samples --------------------------------------------------------------------------------------------------

def test_a_sets_own_normalization_gives_way_to_the_networks():
    """The photographs' manifest says (x - 127) / 128; the artefact takes them raw."""
    stored = pixels(preprocessing=Preprocessing(127.0, 128.0))
    raw = frame_samples(stored, Frames((0.0,), (1.0,), "rgb"))
    assert np.array_equal(raw.feeds(slice(0, 16))["x"], PIXELS)
    pinned = frame_samples(stored, Frames((127.0,), (128.0,), "rgb"))
    assert np.array_equal(pinned.feeds(slice(0, 16))["x"], (np.float32(PIXELS) - 127) / 128)


def test_a_set_that_names_its_colours_is_put_in_the_frames_order():
    stored = pixels(channels=("red", "green", "blue"), layout="channels_last")
    assert np.array_equal(frame_samples(stored, Frames(colour="bgr")).x["x"], PIXELS[..., ::-1])
    assert np.array_equal(frame_samples(stored, Frames(colour="rgb")).x["x"], PIXELS)
    assert np.array_equal(frame_samples(pixels(), Frames(colour="bgr")).x["x"], PIXELS)


@pytest.mark.parametrize("x", [PIXELS / np.float32(255), np.float32(PIXELS) - 127, np.float32(PIXELS) * 2])
def test_values_that_are_no_pixels_are_refused(x):
    with pytest.raises(BadSamples, match=r"pixels: 'x' holds float32 values in .*, normalized already by"):
        frame_samples(pixels(x), Frames())


def test_pixels_stored_as_floats_will_do():
    assert np.array_equal(frame_samples(pixels(np.float32(PIXELS)), Frames()).x["x"], PIXELS)


def test_pruning_and_training_see_normalized_values():
    keys = InputConfig(mean=(10, 20, 30), std=2, colour="bgr")
    seen = network_samples(pixels(), keys, network()).feeds(slice(0, 2))["x"]
    assert np.allclose(seen, (np.float32(PIXELS[:2, ..., ::-1]) - (10, 20, 30)) / 2)
    with pytest.raises(Unsupported, match="leave .input. resize out"):
        network_samples(pixels(), InputConfig(resize=ResizeConfig(size=(9, 9))), network())
    with pytest.raises(BadSamples, match=r"for a mean or std of 3 numbers store them channels last"):
        network_samples(pixels(PIXELS.transpose(0, 3, 1, 2)), keys, network())


def test_a_pruned_network_takes_frames_too():
    wanted = msgspec.structs.replace(recipe(mean=127, std=128), prune=PruneConfig(ratio=0.3))
    prepared = prepare(network(), wanted, pixels())
    assert prepared.graph.tensors["conv"].shape[3] < 8
    assert float(prepared.graph.tensors["x"].quant.scale) == 1 / 128


def test_noise_for_frames_is_pixels():
    graph = prepare(network(), recipe("float32", mean=127, std=128), None).graph
    noise = vectors_of(graph, None, seed=0)["input/x"]
    assert np.array_equal(noise, np.round(noise)) and 0 <= noise.min() < noise.max() <= 255


# Labels ---------------------------------------------------------------------------------------------------

def test_labels_are_the_recipes_then_the_sources_then_the_samples():
    theirs = replace(pixels(), classes=CLASSES)
    assert with_labels(network(), (), theirs).metadata.labels == CLASSES
    named = with_labels(network(), ("a", "b", "c", "d"), theirs)
    assert named.metadata.labels == ("a", "b", "c", "d")
    assert with_labels(named, (), theirs).metadata.labels == ("a", "b", "c", "d")
    assert with_labels(network(), (), replace(pixels(), classes=("a",))).metadata.labels == ()
    with pytest.raises(BadConfig, match=r"\[input\] labels has 1 names, but the output classes is \(1, 4\)"):
        with_labels(network(), ("a",), None)


def write(folder, labels: str | bytes, line='labels = "names.txt"'):
    (folder / "names.txt").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
    (folder / "recipe.toml").write_text(f"[input]\n{line}\n")
    return folder / "recipe.toml"


def test_a_recipe_names_labels_in_a_file_beside_it_or_in_a_list(tmp_path):
    found = load_recipe(write(tmp_path, "cat\ncrème brûlée\r\nowl\n\n"))
    assert found.input.labels == ("cat", "crème brûlée", "owl") and not found.input.takes_frames
    listed = load_recipe(write(tmp_path, "", 'labels = ["cat", "crème brûlée", "owl"]'))
    assert listed.digest == found.digest != Recipe().digest


@pytest.mark.parametrize("labels, line, message", [
    ("a\n\nb\n", 'labels = "names.txt"', r"names\.txt: line 2 is empty; give each class a name"),
    ("", 'labels = "names.txt"', r"names\.txt: holds no names"),
    (b"\xff\n", 'labels = "names.txt"', r"names\.txt: no readable labels file: .*UTF-8 text"),
    ("a", 'labels = "other.txt"', r"other\.txt: no readable labels file"),
    ("a", "mean = 300", r"recipe\.toml: input\.mean: expected float <= 255"),
    ("a", "men = 127", r"unknown key 'input\.men'; did you mean 'input\.mean'\?"),
    ("a", 'colour = "yuv"', r"input\.colour: invalid enum value 'yuv'"),
    ("a", "resize = { size = [0, 4] }", r"input\.resize\.size\[0\]: expected int >= 1")])
def test_a_recipe_that_cannot_be_read(tmp_path, labels, line, message):
    with pytest.raises(BadConfig, match=message):
        load_recipe(write(tmp_path, labels, line))


def test_a_set_says_what_its_channels_are():
    assert load_samples("har_watch").channels == ("ax", "ay", "az", "wx", "wy", "wz")
