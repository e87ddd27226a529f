"""Post-training quantization of a canonical graph, as a recipe says: the flow of the stages in `quantize`."""

from collections.abc import Callable, Mapping
from functools import partial

from toolchain.accuracy_control import Ladder, Trial, judge_of
from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.execution import watch
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import op_macs
from toolchain.ir.quant import QuantParams
from toolchain.preprocess import pixel_codes
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.quantize import quantize
from toolchain.quantize.sensitivity import sensitivity
from toolchain.recipe import CalibrateConfig, Recipe
from toolchain.scheme import scheme_of


class PostTraining:
    """The stages on one network. What two recipes have in common is done once.

    graph:   canonical, float; its metadata's frames, if a recipe takes any, settle the inputs' codes
    samples: with splits, or None where there are none
    """

    def __init__(self, graph: Graph, samples: Samples | None, say: Callable[[str], None]):
        self.graph, self.samples, self.say = graph, samples, say
        self._stats: dict[CalibrateConfig, Mapping[str, TensorStats]] = {}

    def quantized(self, recipe: Recipe) -> Graph:
        """The QUANTIZED graph. Raises BadSamples where there are no samples, and what the stages raise."""
        stats = self.statistics(recipe.calibrate)
        return check(quantize(self.graph, stats, recipe.quantize, self.pinned(recipe)), "QUANTIZED")

    def statistics(self, config: CalibrateConfig) -> Mapping[str, TensorStats]:
        if config not in self._stats:
            samples = self.split("calibration")
            count = min(len(samples), config.samples)
            self.say(f"calibrating with {count} samples ({config.observer})")
            self._stats[config] = calibrate(self.graph, config, samples,
                                            partial(watch, runtime=config.runtime))
        return self._stats[config]

    def split(self, name: str) -> Samples:
        if self.samples is None:
            raise BadSamples(f"{self.graph.name}: INT8 needs calibration samples; give --data SET_OR_NPZ, "
                             f'or leave it in float (recipe: [quantize] scheme = "float32")')
        return self.samples.split(name).fit_to(self.graph)

    def pinned(self, recipe: Recipe) -> dict[str, QuantParams]:
        """Inputs whose codes are pixels."""
        frames = self.graph.metadata.frames if recipe.input.takes_frames else {}
        codes = scheme_of(recipe.quantize.scheme).activations
        return {name: pixel_codes(frame, codes) for name, frame in frames.items()}


def controlled(stages: PostTraining, recipe: Recipe, integer_only: bool) -> Trial:
    """The cheapest treatment that keeps the metric's drop within the recipe's `accuracy_drop`.

    integer_only: the target has no reals; islands compute in int16
    Raises GateFailed where no treatment does, BadSamples without samples that are there to select on.
    """
    if stages.samples is None or stages.samples.splits is None:
        raise BadSamples(f"{stages.graph.name}: [quantize] accuracy_drop selects on samples that calibrate "
                         f"nothing; give a set, or an .npz whose 'split' names calibration and selection")
    graph, selection = stages.graph, stages.split("selection")
    ladder = Ladder(
        treat=stages.quantized, judge=judge_of(graph, recipe.metric, selection, watch),
        rank=lambda trial: [row.name for row in sensitivity(graph, trial.graph, selection, watch)],
        costs={op.name: op_macs(graph, op) for op in graph.ops},
        island="int16" if integer_only else "float32", say=stages.say)
    return ladder.climb(recipe)
