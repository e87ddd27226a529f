"""What outputs should become: losses of each sample, by the metric that a network is judged with."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from toolchain.data import Samples
from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph
from toolchain.metric import METRIC, require_labels

SampleLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(an output (n, ...), what it should be) -> (n,)."""


def is_classes(metric: str) -> bool:
    """Whether outputs are judged as logits of classes, else as plain numbers. metric: a key of METRIC"""
    return METRIC[metric].classes


def answerable(samples: Samples, metric: str) -> Samples:
    """The samples, without what stands beside them where that is no answer: real images beside a generator's
    noise."""
    return replace(samples, y=None) if METRIC[metric].alone else samples


def class_losses(output: torch.Tensor, y: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Cross-entropy of logits (n, ..., classes) with class indices (n, ...), (n,): mean over the positions.

    smoothing: share of a label that all classes get (Szegedy et al. 2016, section 7)
    """
    logits = output.reshape(-1, output.shape[-1])
    losses = functional.cross_entropy(logits, y.reshape(-1), reduction="none", label_smoothing=smoothing)
    return losses.reshape(len(output), -1).mean(1)


def yes_no_losses(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of logits (n, ...) with 0 or 1 (n, ...), (n,): mean over the places."""
    losses = functional.binary_cross_entropy_with_logits(output, y, reduction="none")
    return losses.reshape(len(output), -1).mean(1)


def number_losses(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Squared difference of (n, ...) and (n, ...), (n,): mean over a sample's numbers."""
    return (output - y).square().reshape(len(output), -1).mean(1)


def targets_of(graph: Graph, name: str, y: np.ndarray, metric: str) -> torch.Tensor:
    """What comes with the samples `name`, as the losses of the graph's only output take it.

    Raises BadSamples where it does not fit the output's shape or its classes.
    """
    if len(graph.outputs) > 1:
        raise BadSamples(f"{name}: one set of labels for the {len(graph.outputs)} outputs of {graph.name}; "
                         f"leave the labels out to learn from the teacher alone")
    output = graph.tensors[graph.outputs[0]]
    one = output.shape[1:-1] if is_classes(metric) else output.shape[1:]
    if np.prod(y.shape[1:], dtype=int) != np.prod(one, dtype=int):
        what = "a class for each of" if is_classes(metric) else "numbers of shape"
        raise BadSamples(f"{name}: each sample's labels have shape {y.shape[1:]}; output {output.name} of "
                         f"{graph.name} takes {what} {one}")
    if not np.isfinite(y).all():
        raise BadSamples(f"{name}: labels hold NaN or Inf; repair them or drop those samples")
    if not is_classes(metric):
        return torch.from_numpy(np.asarray(y, np.float32).reshape(len(y), *one))
    require_labels(y.reshape(-1), output.shape[-1])
    return torch.from_numpy(y.reshape(len(y), *one).astype(np.int64))


def before_softmax(graph: Graph) -> Graph:
    """The graph with logits for outputs where it ends in a softmax."""
    squashed = zip(graph.outputs, (squash_of(graph, name) for name in graph.outputs))
    return replace(graph, outputs=tuple(logits if kind == "softmax" else name
                                        for name, (kind, logits) in squashed))


def squash_of(graph: Graph, name: str) -> tuple[str, str]:
    """"softmax" or "logistic" where one makes the output `name`, and the logits that it reads; else "" and
    the name."""
    op = graph.producers.get(name)
    if op is None or op.kind not in ("softmax", "logistic") or op.attrs.get("beta", 1) != 1:
        return "", name
    return op.kind, op.inputs[0]
