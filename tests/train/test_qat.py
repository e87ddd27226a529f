"""Quantization-aware training wins back what coarse codes lose, deploys what it trained, and goes on."""

from functools import cache

import numpy as np
import pytest

from tests.train.training_nets import network, samples
from toolchain.errors import BadInput, BadSamples
from toolchain.ir.passes import canonical
from toolchain.ir.quant import dequantize, quantize
from toolchain.prune.sparse_training import Masked
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize as plainly_quantized
from toolchain.recipe import CalibrateConfig, QatConfig, QuantSpec, TrainConfig
from toolchain.runtime import reference
from toolchain.train import checkpoint as checkpoint_module
from toolchain.train.checkpoint import Checkpoint
from toolchain.train.fit import fit
from toolchain.train.qat import train_quantized, zeros_kept

SPEC = QuantSpec(scheme="static_wi4_ai8")
CONFIG = QatConfig(epochs=3, batch_size=32, learning_rate=0.01)


@cache
def learned():
    """A float network that knows its samples, and what calibration saw of it."""
    data = samples()
    config = TrainConfig(epochs=8, batch_size=32, learning_rate=0.05)
    graph = canonical(fit(network(softmax=True), config, data))
    return graph, calibrate(graph, CalibrateConfig(), data)


def trained(config=CONFIG, data=None, spec=SPEC, **given):
    return train_quantized(*learned(), spec, config, data or samples(), **given)


def lost(quantized) -> float:
    """How far the differences between logits are from those in float, as a share of their spread."""
    x = samples().x["x"]
    exact = reference.run(learned()[0], {"x": x}, keep=["fc"])["fc"]
    codes = reference.run(quantized, {"x": quantize(x, quantized.tensors["x"].quant)}, keep=["fc"])["fc"]
    found = dequantize(codes, quantized.tensors["fc"].quant)
    exact, found = (y - y.mean(1, keepdims=True) for y in (exact, found))
    return float(np.abs(found - exact).mean() / exact.std())


@pytest.mark.parametrize("ranges", ["fixed", "learned"])
def test_half_of_what_codes_lose_comes_back(ranges):
    """Taught by the float network alone."""
    graph, stats = learned()
    config = QatConfig(epochs=12, batch_size=32, learning_rate=5e-3, ranges=ranges)
    before = lost(plainly_quantized(graph, stats, SPEC))
    found = trained(config, samples(labels=False))
    assert before > 0.02 and lost(found) < before / 2
    assert found.tensors["w"].quant.dtype == "int4" and found.outputs == graph.outputs


def test_the_seed_decides_everything():
    first, again, other = (trained(seed=seed).digest for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("changed", [
    {}, {"ranges": "fixed"}, {"patience": 2, "average": 0.9}, {"optimizer": "sgd"}], ids=str)
def test_goes_on_after_each_write_to_the_same_codes(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_module, "SHARE", 1e9)
    config, path = QatConfig(epochs=3, batch_size=48, **changed), tmp_path / "qat"
    given = {"selection": samples(30)}
    whole, write, stops = trained(config, **given).digest, Checkpoint.write, 0

    def once(self, state):
        write(self, state)
        raise KeyboardInterrupt
    while True:
        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "write", once)
            try:
                found = trained(config, checkpoint=path, **given)
                break
            except KeyboardInterrupt:
                stops += 1
    assert found.digest == whole and stops == 6 and not path.exists()


def test_a_run_of_other_codes_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    write = Checkpoint.write

    def once(self, state):
        write(self, state)
        raise KeyboardInterrupt
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoint, "write", once)
        trained(checkpoint=tmp_path / "qat")
    with pytest.raises(BadInput, match="is of a run with another quantized form; give what it"):
        trained(spec=QuantSpec(), checkpoint=tmp_path / "qat")


def test_learned_ranges_move_and_keep_their_zero_points():
    plain = plainly_quantized(*learned(), SPEC)
    found = trained(QatConfig(epochs=6, batch_size=32, learning_rate=0.02))
    for name in ("x", "conv", "relu", "mean", "w", "f"):
        if name in plain.tensors:
            before, after = plain.tensors[name].quant, found.tensors[name].quant
            assert not np.array_equal(before.scale, after.scale)
            assert np.array_equal(before.zero_point, after.zero_point) and (after.scale > 0).all()
    assert found.tensors["p"].quant.same_as(plain.tensors["p"].quant)


def test_fixed_ranges_are_those_of_calibration():
    graph, stats = learned()
    found = trained(QatConfig(epochs=2, learning_rate=0.02, ranges="fixed"))
    plain = plainly_quantized(graph, stats, SPEC)
    assert found.tensors["w"].data.tobytes() != plain.tensors["w"].data.tobytes()
    for tensor in plain.activations:
        assert tensor.quant is None or tensor.quant.same_as(found.tensors[tensor.name].quant)


def test_zeros_stay_zero():
    graph, stats = learned()
    weight = graph.tensors["w"].data.copy()
    weight[np.abs(weight) < np.median(np.abs(weight))] = 0
    sparse = graph.with_tensors(type(graph.tensors["w"])("w", weight.shape, "float32", weight))
    kept = zeros_kept(sparse)
    assert isinstance(kept, Masked) and set(kept.masks) == {"w", "f"}
    found = train_quantized(sparse, stats, SPEC, CONFIG, samples(), additions=[kept])
    assert not found.tensors["w"].data[weight == 0].any() and found.tensors["w"].data.any()


def test_patience_needs_samples_to_judge_by():
    with pytest.raises(BadSamples, match=r"\[qat\] patience = 1 judges by selection samples"):
        trained(QatConfig(epochs=1, patience=1))


def test_divergence_is_said():
    with pytest.raises(BadInput, match=r"net: a learned scale became (inf|0); lower \[qat\] learning_rate"):
        trained(QatConfig(epochs=5, learning_rate=1000.0))
    with pytest.raises(BadInput, match=r"became nan in epoch 1; lower \[qat\] learning_rate \(0\.1\)"):
        trained(QatConfig(epochs=1, learning_rate=0.1, loss=f"{__file__}:no_number"))


def no_number(outputs, y):
    """A loss of the user's own."""
    return outputs["fc"].mean(1) * float("nan")
