"""Post-training quantization of a canonical graph, as a recipe says: the flow of the stages in `quantize`."""

from collections.abc import Callable

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.execution import watch
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.preprocess import pixel_codes
from toolchain.quantize.calibrate import OpenWatch, calibrate
from toolchain.quantize.quantize import quantize
from toolchain.recipe import Recipe
from toolchain.scheme import scheme_of


def quantized(graph: Graph, recipe: Recipe, samples: Samples | None, say: Callable[[str], None]) -> Graph:
    """The QUANTIZED graph. Its metadata's frames, if the recipe takes any, settle the inputs' codes.

    samples: those of its calibration split are used
    Raises BadSamples where there are none, and what the stages raise.
    """
    if samples is None:
        raise BadSamples(f"{graph.name}: INT8 needs calibration samples; give --data SET_OR_NPZ, "
                         f'or leave it in float (recipe: [quantize] scheme = "float32")')
    calibration = samples.split("calibration").fit_to(graph)
    count = min(len(calibration), recipe.calibrate.samples)
    say(f"calibrating with {count} samples ({recipe.calibrate.observer})")
    stats = calibrate(graph, recipe.calibrate, calibration, watching(recipe))
    frames = graph.metadata.frames if recipe.input.takes_frames else {}
    codes = scheme_of(recipe.quantize.scheme).activations
    pinned = {name: pixel_codes(frame, codes) for name, frame in frames.items()}
    return check(quantize(graph, stats, recipe.quantize, pinned), "QUANTIZED")


def watching(recipe: Recipe) -> OpenWatch:
    """Opens graphs in the runtime that the recipe calibrates in."""
    return lambda graph, names: watch(graph, names, recipe.calibrate.runtime)
