"""Scales where a multiplier rounded to float32 would give another code than TFLite Micro gives."""

import numpy as np
import pytest

from toolchain.ir.build import Builder
from toolchain.ir.graph import Graph
from toolchain.ir.quant import QuantParams
from toolchain.runtime import multipliers, reference

# kind, scales of the inputs, of the output, input codes (zero points 0), code, code with float32 multipliers
DECIDED_BY_DOUBLE = [
    ("relu", (0.6259651,), 0.46289858, (44,), 59, 60),
    ("leaky_relu", (0.18080127,), 0.11084417, (-67,), -77, -76),
    ("mul", (0.070773594, 0.78624487), 7.318367, (-69, -81), 42, 43),
    ("add", (0.11922766, 0.84156024), 1.1279404, (51, -28), -16, -15),
    ("sub", (0.87372506, 0.10239494), 0.8272278, (-88, -44), -87, -88),
]
ATTRS = {"leaky_relu": {"alpha": 0.7}}
BIAS, FULLY_CONNECTED_SCALES = 1_936_363, (0.57240516, 0.8878522, 9240.203)  # 106 in double, 107 in float32

THREE = {"x0": np.array([[100, 100, 27]], np.int8)}


def params(scale: float, dtype: str = "int8") -> QuantParams:
    return QuantParams(np.float32(scale), 0, dtype=dtype)


def one_op(kind: str, scales, out_scale: float) -> Graph:
    builder = Builder(kind)
    names = [builder.input(f"x{i}", (1, 1), "int8", params(scale)) for i, scale in enumerate(scales)]
    return builder.graph(builder.op(kind, names, "y", quant=params(out_scale), **ATTRS.get(kind, {})))


def fully_connected() -> Graph:
    builder, (x_scale, weight_scale, y_scale) = Builder("fc"), FULLY_CONNECTED_SCALES
    x = builder.input("x0", (1, 1), "int8", params(x_scale))
    weight = builder.constant("w", np.ones((1, 1), np.int8), params(weight_scale))
    bias = np.float32(x_scale) * np.float32(weight_scale)
    bias = builder.constant("b", np.array([BIAS], np.int32), params(bias, "int32"))
    return builder.graph(builder.op("fully_connected", (x, weight, bias), "y", quant=params(y_scale)))


def mean_of_three() -> Graph:
    """227 / 3 at this ratio of scales: 79 where 1 / 3 is rounded down into the multiplier, else 80."""
    builder = Builder("mean")
    x = builder.input("x0", (1, 3), "int8", params(0.61288244))
    return builder.graph(builder.op("mean", (x,), "y", quant=params(0.58333045), axes=(1,)))


def feeds(codes) -> dict[str, np.ndarray]:
    return {f"x{i}": np.array([[code]], np.int8) for i, code in enumerate(codes)}


@pytest.mark.parametrize("kind, scales, out_scale, codes, expected, in_float32", DECIDED_BY_DOUBLE)
def test_multipliers_are_worked_out_in_double(kind, scales, out_scale, codes, expected, in_float32):
    assert expected != in_float32
    assert reference.run(one_op(kind, scales, out_scale), feeds(codes))["y"] == expected


def test_a_per_tensor_fully_connected_multiplies_its_scales_in_double():
    assert reference.run(fully_connected(), feeds([0]))["y"] == 106


def test_a_mean_rounds_the_reciprocal_of_its_count_down():
    assert reference.run(mean_of_three(), THREE)["y"] == 79


@pytest.mark.oracle
def test_tflite_micro_gives_the_codes_written_down():
    from toolchain.lower.tflite import write_tflite
    from toolchain.runtime.tflm import run_models

    jobs = [(write_tflite(one_op(*row[:3]), integer_only=True), [feeds(row[3])]) for row in DECIDED_BY_DOUBLE]
    jobs += [(write_tflite(fully_connected()), [feeds([0])]), (write_tflite(mean_of_three()), [THREE])]
    found = [int(outputs[0]["y"].item()) for outputs in run_models(jobs)]
    assert found == [row[4] for row in DECIDED_BY_DOUBLE] + [106, 79]


def test_the_mean_of_a_power_of_two_keeps_the_ratio_exactly():
    x, y = params(0.5), params(0.25)
    assert multipliers.average(x, y, 8) == (2**30, 2 - 3)
    assert multipliers.ratio(x, y) == (2**30, 2)


def test_folded_bias_takes_the_zero_point_out_of_a_sum_over_raw_codes():
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-128, 128, (5, 7)), rng.integers(-127, 128, (3, 7)).astype(np.int8)
    bias, quant = rng.integers(-1000, 1000, 3).astype(np.int32), QuantParams(np.float32(1), -45)
    offset = multipliers.folded_bias(quant, weight, bias, axis=0)
    assert np.array_equal(x @ weight.T + offset, (x + 45) @ weight.T.astype(np.int64) + bias)


def test_softmax_exponentials_start_at_one_and_fall():
    exps = multipliers.softmax_exps(params(0.1), beta=1.0)
    assert exps[0] == 2**31 - 1 and (np.diff(exps) <= 0).all()
    assert np.abs(exps[:100] / 2**31 - np.exp(-0.1 * np.arange(100))).max() < 1e-6
