"""Test vectors of an artefact: a few inputs, and what the reference makes of them."""

from itertools import islice

import numpy as np

from toolchain.data import Samples
from toolchain.ir.graph import Frames, Graph
from toolchain.ir.ops import PLAIN
from toolchain.ir.quant import quantize as codes_of
from toolchain.ir.streaming import OneStep
from toolchain.load.selfcheck import noise
from toolchain.lower.borders import ports
from toolchain.runtime import reference
from toolchain.runtime.steps import run_steps

VECTORS = 4


def vectors_of(graph: Graph, samples: Samples | None, seed: int) -> dict[str, np.ndarray]:
    """A few inputs (calibration samples, else seeded noise) and what the reference makes of them."""
    feeds = _vector_inputs(graph, samples, seed)
    outputs = reference.run(graph, feeds)
    return {**{f"input/{name}": value for name, value in feeds.items()},
            **{f"output/{name}": outputs[name] for name in graph.outputs}}


def step_vectors(graph: Graph, one: OneStep, samples: Samples | None, seed: int) -> dict[str, np.ndarray]:
    """The first steps of one sequence, and what the reference makes of each: what a step is fed, its states
    among it, stands in its vector."""
    feeds = {name: values[:1] for name, values in _vector_inputs(graph, samples, seed).items()}
    given = {port.name: port for port in ports(graph, graph.inputs)}
    done = run_steps(lambda fed: reference.run(one.graph, fed), one.form, ports(one.graph, one.graph.inputs),
                     ports(one.graph, one.graph.outputs), given, feeds)
    steps = [{**{f"input/{name}": fed[name] for name in one.graph.inputs},
              **{f"output/{name}": answers[name] for name in one.graph.outputs}}
             for fed, answers in islice(done, VECTORS)]
    return {name: np.concatenate([step[name] for step in steps]) for name in steps[0]}


def _vector_inputs(graph: Graph, samples: Samples | None, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    feeds = next(samples.split("calibration").fit_to(graph).batches(VECTORS)) if samples else {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        shape = (VECTORS, *tensor.shape[1:])
        if tensor.dtype in PLAIN - {"float32"}:
            feeds.setdefault(name, noise(graph, VECTORS)[name])
        elif tensor.quant is None:
            feeds.setdefault(name, _noise(rng, shape, graph.metadata.frames.get(name)))
        elif name in feeds:
            feeds[name] = codes_of(feeds[name], tensor.quant)
        else:
            low, high = np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max
            feeds[name] = rng.integers(low, high, shape, tensor.dtype, endpoint=True)
    return feeds


def _noise(rng: np.random.Generator, shape: tuple[int, ...], frames: Frames | None) -> np.ndarray:
    """Standard normal numbers; of an input for frames, pixels."""
    if frames is None:
        return rng.standard_normal(shape, np.float32)
    pixels = rng.integers(0, 256, shape).astype(np.float32)
    return (pixels - np.float32(frames.mean[0])) / np.float32(frames.std[0])
