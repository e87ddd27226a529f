"""Windows are those that the op reads: a product with the weight gives what it gives."""

import numpy as np
import pytest

from tests.recurrent_nets import SAMPLES, tagger
from toolchain.data import Samples
from toolchain.ir.build import Builder
from toolchain.prune.seen import Seen, seen_by
from toolchain.runtime import reference


def network():
    rng, b = np.random.default_rng(0), Builder("net")
    x = b.input("x", (1, 5, 6, 3))
    weights = [b.constant("w", rng.standard_normal((4, 3, 2, 3)).astype(np.float32)),
               b.constant("b", np.zeros(4, np.float32))]
    y = b.op("conv2d", [x, *weights], "conv", stride=(2, 1), pads=(1, 0, 1, 1), dilation=(1, 2))
    flat = b.op("reshape", [y], "flat", shape=(1, int(np.prod(b.tensors[y].shape))))
    weights = [b.constant("v", rng.standard_normal((2, b.tensors[flat].shape[1])).astype(np.float32)),
               b.constant("c", np.zeros(2, np.float32))]
    return b.graph(b.op("fully_connected", [flat, *weights], "fc"))


def samples(count):
    x = np.random.default_rng(1).standard_normal((count, 5, 6, 3)).astype(np.float32)
    return Samples("noise", {"x": x}, None, None, np.arange(count))


@pytest.mark.parametrize("budget", [1 << 28, 1])
def test_all_windows_of_a_convolution_and_inputs_of_a_matrix(monkeypatch, budget):
    """Few enough that all are looked at; in one pass, or in one for each op."""
    monkeypatch.setattr("toolchain.prune.seen.BLOCK_BYTES", budget)
    graph, given = network(), samples(40)
    values = reference.run(graph, {"x": given.x["x"]}, keep=["conv", "fc"])
    for op, seen in zip((graph.producers["conv"], graph.producers["fc"]),
                        seen_by(graph, [graph.producers["conv"], graph.producers["fc"]], given)):
        matrix = graph.of(op)[1].data.reshape(len(graph.of(op)[1].data), -1)
        found = (seen.rows + seen.mean) @ matrix.T
        expected = values[op.name].reshape(-1, len(matrix))
        np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-4)
        np.testing.assert_allclose(seen.rows.mean(axis=0), 0, atol=1e-5)


def test_no_more_windows_than_asked_for(monkeypatch):
    monkeypatch.setattr("toolchain.prune.seen.ROWS", 80)
    seen = next(seen_by(network(), network().ops[:1], samples(40)))
    assert seen.rows.shape == (80, 18) and seen.taps == 18


def test_without_samples_noise_that_knows_nothing():
    conv, fc = seen_by(network(), [network().producers[name] for name in ("conv", "fc")], None)
    assert (conv.rows, conv.taps, fc.taps) == (None, 18, network().tensors["v"].shape[1])
    matrix = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Seen.white(3).outputs(matrix), np.eye(3) @ matrix.T)


def test_what_a_loop_reads_is_looked_at_at_every_step():
    graph = tagger("gru")
    op = graph.producers["layer.gru.gates.recurrent"]
    (seen,) = seen_by(graph, [op], SAMPLES.fit_to(graph))
    feeds = SAMPLES.fit_to(graph).feeds(slice(None))
    states = reference.run(graph, feeds, keep=["layer.gru.h"])["layer.gru.h"]
    np.testing.assert_allclose(seen.rows + seen.mean, states.reshape(-1, states.shape[-1]), atol=1e-6)
