"""Prune, re-estimate and fine-tune on the wrist-sensor set, judged by a person not trained on."""

from pathlib import Path

import pytest

from toolchain.data import load_samples
from toolchain.load import load
from toolchain.prune.prune import prune
from toolchain.recipe import PruneConfig, TrainConfig
from toolchain.runtime import reference
from toolchain.train.fit import fit, reestimate_batch_norm

MODEL = Path(__file__).resolve().parents[2] / "docs" / "examples" / "har_watch" / "model.py"


@pytest.mark.slow
def test_pruning_pays_and_fine_tuning_wins_the_accuracy_back():
    """40 % of the channels carry 60 % of the arithmetic. Selection split: 265 windows of one person."""
    graph = load(f"{MODEL}:trained")
    samples = load_samples("har_watch").fit_to(graph)
    selection = samples.split("selection")

    def right(network):
        (logits,) = reference.run(network, selection.feeds(slice(None))).values()
        return float((logits.argmax(1) == selection.y).mean())

    pruned = prune(graph, PruneConfig(ratio=0.4), {"conv2d": 4})
    settled = reestimate_batch_norm(pruned.graph, samples.split("calibration"))
    tuned = fit(settled, TrainConfig(epochs=8), samples.split("train"), teacher=graph)
    assert pruned.macs[1] < 0.42 * pruned.macs[0]
    assert right(settled) > right(pruned.graph) + 0.1
    assert right(tuned) > right(graph) - 0.02
