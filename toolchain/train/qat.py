"""Quantization-aware training: the float network is trained as its codes compute, then quantized as ever."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.metric import Embed
from toolchain.prune.sparse_training import Masked
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.quantize import quantize
from toolchain.recipe import QuantSpec
from toolchain.runtime.additions import Addition
from toolchain.scheme import scheme_of
from toolchain.train.fit import fit
from toolchain.train.loop import Progress
from toolchain.train.optimizers import weights_of
from toolchain.train.quantized_module import QuantizedModule
from toolchain.training_sections import QatConfig


def train_quantized(graph: Graph, stats: Mapping[str, TensorStats], spec: QuantSpec, config: QatConfig,
                    samples: Samples, seed: int = 0, metric: str = "top1",
                    progress: Progress | None = None, *,
                    pinned: Mapping[str, QuantParams] | None = None,
                    selection: Samples | None = None, embed: Embed | None = None,
                    additions: Sequence[Addition] = (), checkpoint: Path | None = None) -> Graph:
    """The QUANTIZED graph that `quantize` makes of the trained weights, at the ranges that were trained.

    graph:  CANONICAL, which is its own teacher
    stats:  what calibration saw of it;  spec: of a static scheme;  pinned: as for `quantize`
    Others are as for `fit`, and so is what it raises; as `quantize` besides.
    """
    pinned, modules = dict(pinned or {}), []

    def module_of(student: Graph) -> QuantizedModule:
        modules.append(QuantizedModule(student, quantize(graph, stats, spec, pinned),
                                       scheme_of(spec.scheme).weights, pinned, config.ranges == "learned"))
        return modules[-1]

    trained = fit(graph, config, samples, graph, seed, metric, progress, selection=selection,
                  embed=embed, additions=additions, checkpoint=checkpoint, module_of=module_of)
    return quantize(trained, stats, spec, {**pinned, **modules[-1].learned_params()})


def zeros_kept(graph: Graph) -> Masked:
    """What keeps the weights of a sparse network at zero where they are."""
    return Masked({name: np.not_equal(graph.tensors[name].data, 0) for name in sorted(weights_of(graph))})
