"""Post-training quantization of a canonical graph, as a recipe says: the flow of the stages in `quantize`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from toolchain.accuracy_control import Ladder, Trial, judge_of
from toolchain.data import Samples
from toolchain.errors import BadInput, BadSamples, Unsupported
from toolchain.execution import watch
from toolchain.features import embedding
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import op_macs
from toolchain.ir.quant import QuantParams
from toolchain.preprocess import pixel_codes
from toolchain.quantize.bias import correct_biases
from toolchain.quantize.bias_analytic import correct_biases_analytically
from toolchain.quantize.calibrate import OpenWatch, calibrate
from toolchain.quantize.data_free import ranges_from_batch_norm
from toolchain.quantize.equalise import Equalised, equalised
from toolchain.quantize.islands import runs_on
from toolchain.quantize.observers import OBSERVER, TensorStats, settings
from toolchain.quantize.quantize import quantize
from toolchain.quantize.rounding import rounded
from toolchain.quantize.sensitivity import sensitivity
from toolchain.quantize.shared_codes import SharedCodes
from toolchain.quantize.stats_file import StatsFile
from toolchain.recipe import CalibrateConfig, Recipe
from toolchain.scheme import scheme_of


class PostTraining:
    """The stages on one network. What two recipes have in common is done once.

    graph:   canonical, float; its metadata's frames, if a recipe takes any, settle the inputs' codes
    samples: with splits, or None where there are none
    source:  what `graph` was made of, with its batch norms: they serve where samples are missing
    folder:  where training that is not done yet is kept, so that a killed run goes on; None: nowhere
    shared:  codes of weights that are another network's, and stay
    """

    def __init__(self, graph: Graph, samples: Samples | None, say: Callable[[str], None],
                 source: Graph | None = None, folder: Path | None = None,
                 shared: SharedCodes = SharedCodes()):
        self.folder, self.shared = folder, shared
        self.graph, self.samples, self.say, self.source = graph, samples, say, source or graph
        self._stats: dict[tuple[str | None, CalibrateConfig], Mapping[str, TensorStats]] = {}
        self._equalised: dict[str, Equalised] = {}

    def quantized(self, recipe: Recipe) -> Graph:
        """The QUANTIZED graph. Raises BadSamples where samples are missing, and what the stages raise."""
        if recipe.qat:
            return self._trained(recipe)
        spec, graph, open_watch = recipe.quantize, self.float_graph(recipe), watching(recipe.calibrate)
        correction = spec.bias_correction
        if correction == "auto":
            correction = "empirical" if self.samples else "analytic"
        codes = quantize(graph, self.statistics(recipe), spec, self.pinned(recipe))
        if spec.rounding != "nearest":
            self.say(f"choosing the rounding of weights ({spec.rounding})")
            codes = rounded(graph, codes, self.taken(recipe), open_watch, spec.rounding, recipe.seed)
        codes = self.shared.placed(codes)
        if correction == "empirical":
            self.say("correcting biases")
            codes = correct_biases(graph, codes, self.taken(recipe), open_watch)
        elif correction == "analytic":
            self.say("correcting biases, by batch norms")
            codes = correct_biases_analytically(self.source, graph, codes, self.factors(recipe))
        return check(codes, "QUANTIZED")

    def _trained(self, recipe: Recipe) -> Graph:
        """By quantization-aware training, in the place of what chooses codes after calibration."""
        from toolchain.train.qat import train_quantized, zeros_kept

        config, samples = recipe.qat, self.split("train")
        selection = self.split("selection") if config.patience else None
        graph, stats = self.float_graph(recipe), self.statistics(recipe)
        self.say(f"training for {config.epochs} epochs as quantized, ranges {config.ranges}")
        return train_quantized(
            graph, stats, recipe.quantize, config, samples, recipe.seed, recipe.metric,
            lambda epoch: self.say(f"epoch {epoch.number}: loss {epoch.loss:.4f}"),
            pinned=self.pinned(recipe), selection=selection,
            embed=embedding(recipe.features) if selection else None,
            additions=[zeros_kept(graph)] if recipe.sparsify else [],
            checkpoint=self.folder / "qat" if self.folder else None)

    def take_statistics(self, file: StatsFile, recipe: Recipe) -> None:
        """What `edge calibrate` saw of the network, so that it need not be calibrated.

        Raises BadInput where it is another network's, or lacks what the recipe's observer needs.
        """
        if recipe.quantize.equalise:
            raise BadInput(f"{self.graph.name}: statistics are of the network as it came, and the recipe's "
                           f"[quantize] equalise = true changes it; give --data instead of --stats")
        self._stats[None, recipe.calibrate] = file.stats_for(self.graph, recipe.calibrate)

    def taken(self, recipe: Recipe) -> Samples:
        """The samples that the recipe calibrates with."""
        return self.split("calibration").take(recipe.calibrate.samples)

    def float_graph(self, recipe: Recipe) -> Graph:
        """What is quantized: the network, its channels equalised if the recipe says so."""
        return self._equalise(equalised_for(recipe)).graph

    def factors(self, recipe: Recipe) -> Mapping[str, np.ndarray]:
        """Tensor -> by what equalising divided its channels."""
        return self._equalise(equalised_for(recipe)).factors

    def _equalise(self, codes: str | None) -> Equalised:
        """For activations of these codes; for None, the network as it is."""
        if codes is None:
            return Equalised(self.graph, ())
        if codes not in self._equalised:
            self.say("equalising channels")
            samples = self.split("calibration") if self.samples else None
            self._equalised[codes] = noted(equalised(self.graph, samples, watch, codes))
        return self._equalised[codes]

    def statistics(self, recipe: Recipe) -> Mapping[str, TensorStats]:
        """What calibration saw of the graph that the recipe quantizes."""
        key = equalised_for(recipe), recipe.calibrate
        if key not in self._stats:
            found = self._calibrated if self.samples else self._data_free
            self._stats[key] = self._seen_before(*key) or found(recipe)
        return self._stats[key]

    def _seen_before(self, codes: str | None, config: CalibrateConfig) -> Mapping[str, TensorStats] | None:
        """Statistics of the same run, where another observer kept what this one needs."""
        for (other_codes, other), stats in self._stats.items():
            same_run = msgspec.structs.replace(config, observer=other.observer) == other
            if codes == other_codes and same_run and keeps_enough(stats, config):
                return {name: seen.seen_by(config) for name, seen in stats.items()}
        return None

    def _calibrated(self, recipe: Recipe) -> Mapping[str, TensorStats]:
        graph, samples, config = self.float_graph(recipe), self.split("calibration"), recipe.calibrate
        self.say(f"calibrating with {min(len(samples), config.samples)} samples ({config.observer})")
        return calibrate(graph, config, samples, watching(config))

    def _data_free(self, recipe: Recipe) -> Mapping[str, TensorStats]:
        """Ranges from batch norms. Raises BadSamples where it takes samples after all."""
        config, spec = recipe.calibrate, recipe.quantize
        if spec.rounding != "nearest" or spec.bias_correction == "empirical":
            raise self._no_samples("the recipe's [quantize] rounding or bias_correction looks at samples")
        graph, factors = self.float_graph(recipe), self.factors(recipe)
        inputs = dict.fromkeys(graph.inputs, config.input_range) if config.input_range else {}
        try:
            stats = ranges_from_batch_norm(self.source, graph, inputs, factors)
        except Unsupported as error:
            raise self._no_samples(str(error)) from None
        self.say("no samples: ranges are told from batch norms")
        return stats

    def _no_samples(self, why: str) -> BadSamples:
        return BadSamples(f"{self.graph.name}: INT8 needs calibration samples; give --data SET_OR_NPZ, or "
                          f'leave it in float (recipe: [quantize] scheme = "float32"). Without samples: '
                          f"{why}")

    def split(self, name: str) -> Samples:
        if self.samples is None:
            raise self._no_samples(f"the recipe asks for what looks at those of '{name}'")
        return self.samples.split(name).fit_to(self.graph)

    def pinned(self, recipe: Recipe) -> dict[str, QuantParams]:
        """Inputs whose codes are pixels, and weights whose codes are there."""
        frames = self.graph.metadata.frames if recipe.input.takes_frames else {}
        codes = scheme_of(recipe.quantize.scheme).activations
        return {name: pixel_codes(frame, codes) for name, frame in frames.items()} | dict(self.shared.scales)


def equalised_for(recipe: Recipe) -> str | None:
    """The codes of activations that channels are equalised for; None where they are not."""
    return scheme_of(recipe.quantize.scheme).activations if recipe.quantize.equalise else None


def noted(found: Equalised) -> Equalised:
    """What was equalised, among the notes of the graph's source."""
    source = replace(found.graph.source, notes=found.graph.source.notes + found.lines)
    return replace(found, graph=replace(found.graph, source=source))


def keeps_enough(stats: Mapping[str, TensorStats], config: CalibrateConfig) -> bool:
    """Whether another observer kept what that of `config` needs."""
    return all(OBSERVER[config.observer].needs <= seen.keeps for seen in stats.values())


def watching(config: CalibrateConfig) -> OpenWatch:
    """Opens graphs in the runtime that is to calibrate."""
    return partial(watch, runtime=config.runtime)


def with_observer(recipe: Recipe, file: StatsFile) -> Recipe:
    """The recipe with the observer of a statistics file, where it asks for none but the default."""
    asked, given = recipe.calibrate, file.config
    if settings(asked) != settings(CalibrateConfig()):
        return recipe
    calibrate = msgspec.structs.replace(asked, observer=given.observer, percentile=given.percentile,
                                        smoothing=given.smoothing)
    return msgspec.structs.replace(recipe, calibrate=calibrate)


def controlled(stages: PostTraining, recipe: Recipe, integer_only: bool) -> Trial:
    """The cheapest treatment that keeps the metric's drop within the recipe's `accuracy_drop`.

    integer_only: the target has no reals; islands compute in int16
    Raises GateFailed where no treatment does, BadSamples without samples that are there to select on.
    """
    if stages.samples is None or stages.samples.splits is None:
        raise BadSamples(f"{stages.graph.name}: [quantize] accuracy_drop selects on samples that calibrate "
                         f"nothing; give a set, or an .npz whose 'split' names calibration and selection")
    graph, selection = stages.graph, stages.split("selection")
    island = "int16" if integer_only else "float32"

    def rank(trial: Trial) -> list[str]:
        """Ops that have a form in the island's numbers."""
        rows = sensitivity(stages.float_graph(trial.recipe), trial.graph, selection, watch)
        ops = (graph.producers[row.name] for row in rows)
        return [op.name for op in ops if island == "float32" or runs_on(op, island)]

    ladder = Ladder(
        treat=stages.quantized,
        judge=judge_of(graph, recipe.metric, selection, watch, embedding(recipe.features)),
        rank=rank, costs={op.name: op_macs(graph, op) for op in graph.ops},
        island=island, say=stages.say)
    return ladder.climb(recipe)
