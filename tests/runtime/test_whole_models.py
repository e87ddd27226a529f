"""The numeric contract on whole models: MLPerf Tiny's int8 reference networks and hello_world."""

import numpy as np
import pytest

from toolchain.load.tflite import load_tflite
from toolchain.runtime import reference
from toolchain.runtime.tflm import run_tflm

SAMPLES = 100
MODELS = {
    "kws": "kws_ref_model.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "vww": "vww_96_int8.tflite",
    "ad": "ad01_int8.tflite",
    "hello_world": "hello_world_int8.tflite",
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
def test_the_reference_equals_tflite_micro_on_random_codes(kit, name):
    model = (kit / "models" / MODELS[name]).read_bytes()
    graph = load_tflite(model, name)
    rng = np.random.default_rng(20261121)
    feeds = {port: rng.integers(-128, 128, (SAMPLES, *graph.tensors[port].shape[1:])).astype(np.int8)
             for port in graph.inputs}
    samples = [{port: codes[i:i + 1] for port, codes in feeds.items()} for i in range(SAMPLES)]
    theirs, ours = run_tflm(model, samples), reference.run(graph, feeds)
    for port in graph.outputs:
        assert len(np.unique(ours[port])) > 8, "outputs that hardly vary prove nothing"
        assert np.array_equal(ours[port], np.concatenate([sample[port] for sample in theirs]))
