"""Calibration: what is observed, how much of it, and what cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from tests.quantize.nets import samples_of, small_net
from toolchain.errors import BadSamples, Unsupported
from toolchain.quantize import calibrate as module
from toolchain.quantize.calibrate import calibrate
from toolchain.recipe import CalibrateConfig
from toolchain.runtime import reference


def test_inputs_and_free_outputs_are_observed_and_nothing_else():
    graph = small_net()
    samples = samples_of(graph)
    stats = calibrate(graph, CalibrateConfig(), samples)
    values = reference.run(graph, samples.x, keep=("conv", "pool", "dense")) | samples.x
    assert set(stats) == {"x", "conv", "pool", "dense"}
    for name, seen in stats.items():
        x = values[name]
        assert (seen.low, seen.high, seen.count) == (x.min(), x.max(), x.size)


def test_the_statistics_do_not_depend_on_the_batches(monkeypatch):
    graph = small_net()
    config = CalibrateConfig(observer="percentile", percentile=99.0)
    whole = calibrate(graph, config, samples_of(graph))
    monkeypatch.setattr(module, "BATCH", 1)
    single = calibrate(graph, config, samples_of(graph))
    assert {n: s.range for n, s in whole.items()} == {n: s.range for n, s in single.items()}


def test_no_more_samples_than_asked_for_are_run_and_progress_is_told():
    graph, ran, told = small_net(), [], []

    def open_watch(graph, names):
        def watch(feeds):
            ran.append(len(feeds["x"]))
            return reference.run(graph, feeds, keep=names)
        return watch

    calibrate(graph, CalibrateConfig(samples=10), samples_of(graph), open_watch,
              lambda *done: told.append(done))
    assert sum(ran) == 10 and told[-1] == (10, 10)


def test_only_what_is_needed_is_asked_of_the_runtime():
    graph, asked = small_net(), set()

    def open_watch(graph, names):
        asked.update(names)
        return lambda feeds: reference.run(graph, feeds, keep=names)

    calibrate(graph, CalibrateConfig(), samples_of(graph), open_watch)
    assert asked == {"x", "conv", "pool", "dense"}


def test_an_activation_that_overflows_is_named_with_its_sample():
    graph = small_net()
    conv, *rest = graph.ops
    ops = [replace(conv, attrs={**conv.attrs, "activation": None}), *rest]
    samples = samples_of(graph)
    samples.x["x"][13] *= 1e38
    with np.errstate(all="ignore"), pytest.raises(BadSamples, match="noise: sample 13 makes conv NaN or Inf"):
        calibrate(graph.with_ops(ops), CalibrateConfig(), samples)


def test_no_samples_are_an_error():
    graph = small_net()
    with pytest.raises(BadSamples, match="noise: no samples to calibrate net with"):
        calibrate(graph, CalibrateConfig(), samples_of(graph, count=0))


def test_ops_without_a_rule_are_listed_before_anything_runs():
    graph = small_net()
    ops = [replace(op, kind="erf") if op.name in ("pool", "flat") else op for op in graph.ops]
    with pytest.raises(Unsupported, match="2 unsupported:\n  pool: erf has no INT8 rule\n  flat: erf"):
        calibrate(replace(graph, ops=tuple(ops)), CalibrateConfig(), samples_of(graph))
