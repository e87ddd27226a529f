"""Prune, re-estimate and fine-tune on the wrist-sensor set, judged by a person not trained on."""

from pathlib import Path

import pytest

from toolchain.data import load_samples
from toolchain.ir.ops import graph_macs
from toolchain.load import load
from toolchain.prune.cost import MACS, Limit
from toolchain.prune.prune import Aim, cut_to
from toolchain.recipe import PruneConfig, TrainConfig
from toolchain.runtime import reference
from toolchain.train.evidence import task_loss
from toolchain.train.fit import fit, reestimate_batch_norm

MODEL = Path(__file__).resolve().parents[2] / "docs" / "examples" / "har_watch" / "model.py"


@pytest.mark.slow
def test_pruning_pays_and_fine_tuning_wins_the_accuracy_back():
    """60 % of the arithmetic goes. Selection split: 265 windows of one person."""
    graph = load(f"{MODEL}:trained")
    samples = load_samples("har_watch").fit_to(graph)
    selection = samples.split("selection")

    def right(network):
        (logits,) = reference.run(network, selection.feeds(slice(None))).values()
        return float((logits.argmax(1) == selection.y).mean())

    judged = task_loss(graph, samples.split("train").take(512), "top1")
    aim = Aim((Limit(MACS, 0.4 * graph_macs(graph)),), evidence=judged)
    pruned = cut_to(graph, PruneConfig(macs=0.4), aim)
    settled = reestimate_batch_norm(pruned, judged.samples)
    tuned = fit(settled, TrainConfig(epochs=8), samples.split("train"), teacher=graph)
    assert right(settled) > right(pruned) + 0.1
    assert right(tuned) > right(graph) - 0.02
