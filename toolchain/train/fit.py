"""Fine-tune a float graph on labels, on a teacher's outputs, or on both; and settle its batch norms."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from toolchain.data import Samples
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.graph import Graph, live_ops
from toolchain.metric import Embed
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule, fixed_threads
from toolchain.train.answers import answers_of
from toolchain.train.batches import Batches, LoadedBatches, SampleBatches, batch_count, own_function
from toolchain.train.checkpoint import Checkpoint, identity_of
from toolchain.train.distill import BATCH, Teacher, tensors
from toolchain.train.features import Transfer
from toolchain.train.loop import Progress, Run
from toolchain.train.objective import Lesson, Objective
from toolchain.train.scoring import Judge
from toolchain.train.tasks import answerable, before_softmax, is_classes, targets_of
from toolchain.training_sections import TrainConfig


@fixed_threads()
def fit(graph: Graph, config: TrainConfig, samples: Samples, teacher: Graph | None = None, seed: int = 0,
        metric: str = "top1", progress: Progress | None = None, *, selection: Samples | None = None,
         embed: Embed | None = None, additions: Sequence[Addition] = (), checkpoint: Path | None = None,
         module_of: Callable[[Graph], GraphModule] = GraphModule) -> Graph:
    """The graph with trained weights, biases and batch norms.

    samples:    fit to the graph; without labels all of the loss is the teacher's, and where samples
                have no answer of their own (Metric.alone)
    teacher:    a float graph, whatever it is made of, of the same inputs and outputs; None: labels only
    metric:     a key of METRIC, which says whether outputs are compared as numbers or as logits; see
                `answers.answers_of`
    selection:  fit to the graph, disjoint from the samples: what patience judges by, by the metric; without
                labels against the teacher
    embed:      for a metric that is a distance between sets
    additions:  what is done besides, see `runtime.additions`
    checkpoint: file that is written while it goes on, every few seconds, and removed at the end. Where it is
                there, a run of the same arguments goes on from it and ends as if it had not been stopped
    module_of:  what is trained of the graph with all that losses compare for outputs

    The same seed on the same kind of processor gives the same digest.
    Raises BadSamples where there is nothing to learn from or labels do not fit, BadInput where the loss
    diverges, the teacher is of another kind, the user's code at fault, the checkpoint damaged or another's.
    """
    samples = samples if config.loss else answerable(samples, metric)
    _check(graph, config, samples, teacher, selection)
    logits = before_softmax(graph) if is_classes(metric) else graph
    lesson = _lesson(graph, config, teacher, metric)
    asked = lesson.teacher if lesson else None
    with torch.random.fork_rng(devices=[]), own_function(config.loss) as loss, own_function(
            config.loader) as loader:
        torch.manual_seed(seed)
        batches = _batches(logits, config, samples, asked, seed, metric, loader)
        judge = Judge.of(metric, logits.outputs, selection, asked, embed) if selection else None
        objective = Objective(config, metric, logits.outputs[0], lesson, loss)
        module = module_of(_student(graph, config, logits, lesson))
        run = Run(module, objective, batches, [*additions, *objective.additions], judge)
        kept = Checkpoint(checkpoint, identity_of(graph, config, samples, teacher, seed, metric, selection,
                                                  additions, module)) if checkpoint else None
        if kept and (state := kept.load()):
            run.resume(state)
        run.train(progress, kept)
    if kept:
        kept.remove()
    return replace(module.to_graph(), outputs=graph.outputs)


def _check(graph: Graph, config: TrainConfig, samples: Samples, teacher: Graph | None,
           selection: Samples | None) -> None:
    if samples.y is None and teacher is None and not config.loader and not config.loss:
        raise BadSamples(f"{samples.name}: neither labels nor a teacher to learn from; give labelled samples")
    if len(samples) < 2 and not config.loader:
        raise BadSamples(f"{samples.name}: {len(samples)} sample to fine-tune on; at least 2 are needed")
    if teacher is None and config.features:
        raise BadInput(f"{graph.name}: [train] features has no teacher to learn from; give one")
    if config.patience and selection is None:
        raise BadSamples(f"{samples.name}: [{config.heading}] patience = {config.patience} judges by "
                         f"selection samples; give some, or leave out patience")


def _lesson(graph: Graph, config: TrainConfig, teacher: Graph | None, metric: str) -> Lesson | None:
    """Raises BadInput where the teacher is of another task, or has not what [train] features names."""
    if teacher is None:
        return None
    answers = answers_of(graph, teacher, metric)
    transfer = Transfer(config, graph, teacher) if config.features else None
    asked = Teacher(teacher, graph, [answer.teacher for answer in answers],
                    [its for _, its in config.feature_pairs])
    return Lesson(asked, answers, transfer)


def _student(graph: Graph, config: TrainConfig, logits: Graph, lesson: Lesson | None) -> Graph:
    """What is trained, with all that losses compare for outputs; the user's loss sees the graph's own too."""
    names = (*logits.outputs, *(graph.outputs if config.loss else ()), *(lesson.names if lesson else ()))
    return replace(graph, outputs=tuple(dict.fromkeys(names)))


def _batches(logits: Graph, config: TrainConfig, samples: Samples, teacher: Teacher | None, seed: int,
             metric: str, loader: Callable | None) -> Batches:
    def targets(name: str, y: np.ndarray) -> torch.Tensor:
        """y as the loss takes it; the user's own takes it as it is."""
        return torch.from_numpy(y) if config.loss else targets_of(logits, name, y, metric)

    if loader:
        return LoadedBatches(config.loader, loader, seed, logits, lambda y: targets(config.loader, y))
    y = None if samples.y is None else targets(samples.name, np.asarray(samples.y))
    soft = teacher.all_outputs(samples) if teacher else None
    return SampleBatches(samples, config.batch_size, seed, y, soft)


@fixed_threads()
def reestimate_batch_norm(graph: Graph, samples: Samples, seed: int = 0) -> Graph:
    """The graph with running means and variances averaged over batches of these samples, weights untouched.

    After pruning the old ones belong to activations that are no longer there (Li et al. 2020, "EagleEye").
    Raises BadSamples where a batch has a single value per channel.
    """
    norms = [op for op in graph.ops if op.kind == "batch_norm"]
    if not norms:
        return graph
    module = GraphModule(_as_far_as(graph, {op.name for op in norms}), momentum=None).train()
    order = np.random.default_rng(seed).permutation(len(samples))  # files are often sorted by class
    try:
        with torch.no_grad():
            for index in np.array_split(order, batch_count(len(samples), BATCH)):
                module(tensors(samples.feeds(index)))
    except ValueError as error:
        raise BadSamples(f"{samples.name}: {len(samples)} samples give no statistics: {error}") from None
    statistics = {name for op in norms for name in op.inputs[3:]}
    return graph.with_tensors(*(t for t in module.to_graph().constants if t.name in statistics))


def _as_far_as(graph: Graph, names: set[str]) -> Graph:
    """The ops that those tensors depend on; outputs are those that none of them reads."""
    ops = live_ops(graph.ops, names)
    read = {name for op in ops for name in op.inputs}
    return replace(graph, outputs=tuple(sorted(names - read))).with_ops(ops)
