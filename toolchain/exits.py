"""[exits] of a recipe: a network's classifiers on the way trained and attached, and what is built of that."""

from collections.abc import Callable, Iterator

import numpy as np

from toolchain.adaptive.cascade import with_logits
from toolchain.adaptive.exits import exit_stages, pooled, require_places, with_exits, without_exits
from toolchain.adaptive_sections import ExitsConfig
from toolchain.chain_building import Stages
from toolchain.chaining import Goal, Made, make_chain
from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.execution import watch
from toolchain.ir.graph import Graph
from toolchain.lower import Asked
from toolchain.profile import TargetProfile
from toolchain.training_sections import TEMPERATURE

Say = Callable[[str], None]
ALPHA = 0.5
"""Share of what the network says, beside the labels; [train]'s own."""
AT_ONCE = 64


def with_trained_exits(graph: Graph, config: ExitsConfig, samples: Samples | None, say: Say) -> Graph:
    """The canonical float graph with exits as further outputs; nothing else of it changes.

    samples: as the graph takes them; those of training, of calibration without labels where there are none
    Raises BadSamples, BadConfig for a tensor that there is not.
    """
    from toolchain.train.heads import trained_head

    graph = with_logits(graph)
    require_places(graph, config.after)
    if samples is None:
        raise BadSamples(f"{graph.name}: [exits] trains classifiers; give samples with --data")
    labelled = samples.has("train")
    seen = samples.split("train" if labelled else "calibration").fit_to(graph)
    say(f"training {len(config.after)} exits on {len(seen)} samples{'' if labelled else ' without labels'}")
    *features, teacher = (np.concatenate(parts) for parts in zip(*_looked_at(graph, config.after, seen)))
    labels = seen.y if labelled else None
    heads = {name: trained_head(found, labels, teacher, ALPHA, TEMPERATURE)
             for name, found in zip(config.after, features, strict=True)}
    return with_exits(graph, heads)


def _looked_at(graph: Graph, after: tuple[str, ...], samples: Samples) -> Iterator[list[np.ndarray]]:
    """What each exit sees of some samples, and what the network says."""
    names = (*after, graph.outputs[0])
    run = watch(graph, names)
    for feeds in samples.batches(AT_ONCE):
        found = run(feeds)
        yield [pooled(found[name]) for name in after] + [np.array(found[graph.outputs[0]])]


def build_exits(graph: Graph, config: ExitsConfig, samples: Samples, profile: TargetProfile, asked: Asked,
                say: Say) -> Made:
    """The deployed graph with exits, cut into stages. Raises what `make_chain` does."""
    alone = without_exits(graph)
    stages = Stages(alone.name, exit_stages(graph), alone, samples, profile, asked, say)
    return make_chain(stages, Goal(config.accuracy_drop, config.cost))
