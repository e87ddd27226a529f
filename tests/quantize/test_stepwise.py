"""A network run a step at a time gives the codes that it gives in one run."""

import numpy as np
import pytest

from tests.random_nets import modern_net, noise, quantized, random_net
from toolchain.data import Samples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.quant import quantize
from toolchain.quantize import stepwise
from toolchain.quantize.reals import as_codes
from toolchain.quantize.stepwise import after_step, holdable, steps_between
from toolchain.runtime import reference


def by_reference(graph, names):
    return lambda feeds: reference.run(graph, feeds, keep=names)


@pytest.mark.parametrize("make", [random_net, modern_net])
@pytest.mark.parametrize("seed", range(12))
def test_steps_hand_on_what_one_run_makes(make, seed):
    graph = quantized(make(seed))
    feeds = noise(make(seed), 11)
    samples = Samples("noise", dict(feeds), None, None, np.arange(11))
    weighted = [op for op in graph.ops if op.kind in WEIGHTED]
    assert weighted
    steps = steps_between(graph, {op.name for op in weighted})
    exact = reference.run(graph, {name: quantize(x, graph.tensors[name].quant) for name, x in feeds.items()},
                          keep=[op.name for op in graph.ops])
    held, met = as_codes(graph, samples.x), []
    for number, step in enumerate(steps):
        for op in step:
            if op in weighted:
                assert op.inputs[0] in held
                met.append(op.name)
        held = after_step(graph, steps, number, held, by_reference)
        assert all(np.array_equal(exact[name], x) for name, x in held.items() if name in exact)
    assert sorted(met) == sorted(op.name for op in weighted) and not held


def test_memory_is_bounded_by_the_samples_taken(monkeypatch):
    graph = quantized(random_net(1))
    steps = steps_between(graph, {op.name for op in graph.ops if op.kind in WEIGHTED})
    few = holdable(graph, steps)
    monkeypatch.setattr(stepwise, "HELD_BYTES", stepwise.HELD_BYTES // 4)
    assert holdable(graph, steps) == pytest.approx(few / 4, abs=1)
    monkeypatch.setattr(stepwise, "HELD_BYTES", 1)
    assert holdable(graph, steps) == 1
