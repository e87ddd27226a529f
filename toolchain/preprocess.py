"""Raw frames: a recipe's [input] becomes part of the network, and samples are fed as the frames they are.

In integers a whole mean costs nothing: the input's zero point is the mean and its scale 1 / std, so a pixel
is its own code. What that cannot hold goes into the first weights, or stands in front (ir.preprocess).
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from toolchain.data import Array, Preprocessing, Samples, mapped, value_range
from toolchain.errors import BadConfig, BadSamples, Unsupported
from toolchain.ir.graph import Frames, Graph
from toolchain.ir.preprocess import input_layout, normalize_input, resize_input
from toolchain.ir.quant import QuantParams
from toolchain.recipe import InputConfig

COLOUR = {"rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red")}


@dataclass(frozen=True, eq=False)
class Affine:
    """network input = gain * (pixel - mean), float64, one number for each channel or one for all."""

    gain: np.ndarray
    mean: np.ndarray

    @property
    def held_by_codes(self) -> "Affine":
        """What an input's scale and zero point can hold: a gain and a whole mean that all channels share."""
        gain = self.gain[0] if (self.gain == self.gain[0]).all() else 1
        mean = np.clip(np.round(self.mean[0]), 0, 255) if (self.mean == self.mean[0]).all() else 0
        return Affine(np.float64(gain), np.float64(mean))

    @property
    def is_raw(self) -> bool:
        return bool((self.gain == 1).all() and (self.mean == 0).all())


RAW = Affine(np.float64(1), np.float64(0))
"""Pixels as they are."""


def fold_frames(graph: Graph, config: InputConfig, integer: bool) -> Graph:
    """The float graph on raw frames as `config` describes them.

    integer: its input is going to be int8 or uint8 codes, so that their scale and zero point can do the work
    Real values of the input are then (pixel - mean) / std with what `metadata.frames` says of it: mean 0 and
    std 1 where all is folded. Raises BadConfig where such frames do not go with the input.
    """
    name = _frame_input(graph, config)
    affine = _affine(config, graph.tensors[name].shape[-1], graph.name)
    held = affine.held_by_codes if integer else RAW
    order = (2, 1, 0) if _swaps(config) else tuple(range(affine.gain.size))
    gain = (affine.gain / held.gain).astype(np.float32).astype(np.float64)
    folded = normalize_input(graph, name, gain, affine.gain * (held.mean - affine.mean), order)
    notes = (*graph.source.notes, _note(affine, held, len(folded.ops) > len(graph.ops)))
    if config.resize is not None:
        folded = resize_input(folded, name, config.resize.size, config.resize.method)
    if config.layout is not None:
        folded = input_layout(folded, name, config.layout)
    colour = {1: "gray", 3: config.colour or "rgb"}.get(affine.gain.size, "")
    frames = Frames((float(held.mean),), (float(np.float32(1 / held.gain)),), colour)
    return replace(folded, metadata=replace(graph.metadata, frames={name: frames}),
                   source=replace(graph.source, notes=notes))


def pixel_codes(frames: Frames, dtype: str) -> QuantParams:
    """The parameters of an input whose codes are pixels: pixel - 128 in int8, the pixel itself in int16."""
    offset = {"int8": 128, "int16": 0}[dtype]
    return QuantParams(1 / np.float32(frames.std[0]), int(frames.mean[0]) - offset, dtype=dtype)


def _note(affine: Affine, held: Affine, in_front: bool) -> str:
    """What became of the normalization, in words."""
    if in_front:
        return ("raw frames: a 1x1 convolution in front normalizes them, because what reads the input cannot "
                "take it in; one whole mean and one std for all channels would cost nothing in INT8")
    codes = f"zero point {held.mean:g} and scale 1/{1 / held.gain:g} of the input's uint8 codes"
    if (affine.gain == held.gain).all() and (affine.mean == held.mean).all():
        return f"raw frames: {codes} normalize them" if not held.is_raw else "raw frames go in as they are"
    return f"raw frames: the first weights normalize them{'' if held.is_raw else f', with {codes}'}"


def _affine(config: InputConfig, channels: int, model: str) -> Affine:
    def per_channel(key: str, default: float) -> np.ndarray:
        value = getattr(config, key)
        if isinstance(value, tuple) and len(value) != channels:
            raise BadConfig(f"{model}: [input] {key} has {len(value)} numbers, but the network's input has "
                            f"{channels} channels; give one number, or one for each")
        return np.broadcast_to(np.asarray(default if value is None else value, np.float64), (channels,))

    scale = 1.0 if config.scale is None else config.scale
    return Affine(scale / per_channel("std", 1.0), per_channel("mean", 0.0))


def _swaps(config: InputConfig) -> bool:
    return (config.colour or "rgb") != (config.network_colour or "rgb")


def _frame_input(graph: Graph, config: InputConfig) -> str:
    """The input that frames go into. Raises BadConfig where there is none that fits."""
    if len(graph.inputs) != 1:
        raise BadConfig(f"{graph.name}: takes {', '.join(graph.inputs)}; [input] describes the frames of "
                        f"networks with one input: leave all but labels out")
    name, = graph.inputs
    shape = graph.tensors[name].shape
    if len(shape) != 4 and (config.resize or config.layout):
        raise BadConfig(f"{graph.name}: input {name} is {shape}, no image; [input] resize and layout are for "
                        f"images: leave them out")
    if _swaps(config) and (len(shape) != 4 or shape[-1] != 3):
        raise BadConfig(f"{graph.name}: input {name} is {shape}; only images of 3 channels have a colour "
                        f"order: leave [input] colour and network_colour out")
    return name


def with_labels(graph: Graph, labels: tuple[str, ...], samples: Samples | None) -> Graph:
    """The graph with the names of its classes: those given, else its source's, else those of the samples.

    Raises BadConfig where there are not as many as the first output has classes.
    """
    output = graph.tensors[graph.outputs[0]]
    if labels and output.shape[-1:] != (len(labels),):
        raise BadConfig(f"{graph.name}: [input] labels has {len(labels)} names, but the output {output.name} "
                        f"is {output.shape}; give one for each class")
    if not labels and not graph.metadata.labels and samples is not None:
        labels = samples.classes if output.shape[-1:] == (len(samples.classes),) else ()
    return replace(graph, metadata=replace(graph.metadata, labels=labels)) if labels else graph


# Samples ----------------------------------------------------------------------------------------------------

def frame_samples(samples: Samples, frames: Frames) -> Samples:
    """Samples stored as raw pixels, for an input whose real values are (pixel - mean) / std.

    The set's own preprocessing does not apply: the network does it now. Sets that name their colours are put
    in the frame's order. Raises BadSamples where the stored values are no pixels.
    """
    return _normalized(samples, frames.colour, frames.colour, frames.mean, frames.std)


def network_samples(samples: Samples, config: InputConfig, graph: Graph) -> Samples:
    """The same samples for the network before anything is folded into it: what pruning and training see.

    Raises Unsupported where frames have another size than the network's input, BadSamples as `frame_samples`.
    """
    if config.resize is not None:
        raise Unsupported(f"{graph.name}: [prune] and [train] see frames of the network's own size; leave "
                          f"[input] resize out and prune or train first")
    affine = _affine(config, graph.tensors[_frame_input(graph, config)].shape[-1], graph.name)
    return _normalized(samples, config.colour or "rgb", config.network_colour or "rgb",
                       tuple(affine.mean), tuple(1 / affine.gain))


def _normalized(samples: Samples, stored: str, wanted: str, mean: tuple[float, ...],
                std: tuple[float, ...]) -> Samples:
    """(pixel - mean) / std of pixels whose channels are put from the order `stored` into `wanted`."""
    for key, x in samples.x.items():
        _require_pixels(samples, key, x)
    mean, std = (values[0] if len(set(values)) == 1 else values for values in (mean, std))
    if isinstance(mean, tuple) or isinstance(std, tuple):
        _require_channels_last(samples, max(len(v) for v in (mean, std) if isinstance(v, tuple)))
    named = next((order for order, names in COLOUR.items() if names == samples.channels), stored)
    x = samples.x
    if {named, wanted} == set(COLOUR):
        x = {key: mapped(array, partial(np.flip, axis=-1 if array.shape[-1] == 3 else 1))
             for key, array in x.items()}
    return replace(samples, x=x, channels=COLOUR.get(wanted, samples.channels),
                   preprocessing=Preprocessing(mean, std))


def _require_channels_last(samples: Samples, channels: int) -> None:
    for key, x in samples.x.items():
        if x.shape[-1] != channels:
            raise BadSamples(f"{samples.name}: '{key}' holds samples of shape {x.shape[1:]}; for a mean or "
                             f"std of {channels} numbers store them channels last")


def _require_pixels(samples: Samples, key: str, x: Array) -> None:
    if x.dtype == np.uint8:
        return
    low, high = value_range(x)
    if low < 0 or high > 255 or (high <= 1 and x.dtype.kind == "f"):
        raise BadSamples(f"{samples.name}: '{key}' holds {x.dtype} values in {low:g}..{high:g}, normalized "
                         f"already by the look of them, but the recipe's [input] takes raw frames, 0..255; "
                         f"store the pixels as they are, or leave [input] mean, std and scale out")

