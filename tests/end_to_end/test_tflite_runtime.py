"""Every .tflite that we write runs in tflite-runtime 2.14 and gives what LiteRT gives, codes within 1.

On int8, 2.14 has TFLite's optimised kernels, not XNNPACK, whose single rounding moves the codes that come out
of a deep network by more than 1: there LiteRT is asked for the same kernels. Single ops are judged by its
reference kernels: LiteRT 2.3's optimised MUL overflows where the product's scale is 32 times the output's.
"""

from collections.abc import Mapping, Sequence
import os

import numpy as np
import pytest

from tests.old_runtime import PYTHON, Job, run_old_runtime
from tests.op_cases import cases
from tests.oracles import WITHOUT_REFERENCE
from tests.random_nets import noise, quantized, random_net
from toolchain.ir.ops import OPS
from toolchain.load import load
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_schema import BUILTIN
from toolchain.lower.tflite import IO, write_tflite
from toolchain.runtime.litert import LiteRT

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

KIT = ("kws_ref_model_float32", "pretrainedResnet", "vww_96_float", "ad01_fp32", "kws_ref_model",
       "pretrainedResnet_quant", "vww_96_int8", "ad01_int8", "hello_world_int8")


@pytest.fixture(autouse=True)
def environment():
    if not PYTHON.is_file():
        message = f"no {PYTHON.parents[1].name}; `make setup-tflite-runtime` makes it"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


SAME_KERNELS, REFERENCE_KERNELS = {"preserve_all": True}, {"reference_kernels": True}


def assert_agrees(jobs: Sequence[Job], kernels: Mapping[str, bool]) -> None:
    for (model, feeds), old in zip(jobs, run_old_runtime(jobs), strict=True):
        new = LiteRT(model, **kernels).run(feeds)
        assert new.keys() == old.keys()
        for name in new:
            off = np.abs(old[name].astype(np.float64) - new[name]).max()
            largest = float(np.abs(new[name]).max()) if new[name].dtype == np.float32 else None
            allowed = 1 if largest is None else 1e-5 * max(1.0, largest)
            assert off <= allowed, f"{name} is off by {off:g}, allowed {allowed:g}"


@pytest.mark.parametrize("kind", BUILTIN)
def test_every_row_of_the_op_table(kind):
    found = [case for dtype in OPS[kind].dtypes for case in cases(kind, dtype)]
    assert len(found) >= 4
    kernels = SAME_KERNELS if kind in WITHOUT_REFERENCE else REFERENCE_KERNELS
    assert_agrees([(write_tflite(case.graph), case.feeds) for case in found], kernels)


@pytest.mark.parametrize("io", [None, *IO])
def test_whole_networks(io):
    """In float, and in int8 with each border."""
    jobs = []
    for seed in range(20):
        graph = random_net(seed) if io is None else quantized(random_net(seed))
        model = write_tflite(graph, io=io or "int8")
        jobs.append((model, noise(load_tflite(model, graph.name), 5)))
    assert_agrees(jobs, SAME_KERNELS)


@pytest.mark.parametrize("name", KIT)
def test_reference_models_rewritten(kit, name):
    graph = load(kit / "models" / f"{name}.tflite")
    assert_agrees([(write_tflite(graph), noise(graph, 20))], SAME_KERNELS)
