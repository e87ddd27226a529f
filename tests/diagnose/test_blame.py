"""Who is blamed, why, and with which lines of recipe.toml."""

import tomllib

import msgspec
import pytest

from tests.breaking_net import OUTLIER, PLANTED, breaking_net, breaking_swish_net
from tests.quantize.nets import Net
from toolchain.diagnose.blame import Case, causes, remedies, short, suspects
from toolchain.diagnose.findings import Layer
from toolchain.diagnose.layers import layer_figures
from toolchain.execution import watch
from toolchain.ir.passes import canonical
from toolchain.quantize.bias import correct_biases
from toolchain.quantize.calibrate import calibrate
from toolchain.quantize.quantize import quantize
from toolchain.quantize.sensitivity import costing, sensitivity
from toolchain.recipe import CalibrateConfig, QuantSpec, Recipe

MINMAX = CalibrateConfig(observer="minmax")
PLAIN = Recipe(calibrate=MINMAX, quantize=QuantSpec(bias_correction="none"))


@pytest.fixture(scope="module")
def blamed():
    return blamed_of(*breaking_net()[:2])


def blamed_of(graph, samples, correct=lambda graph, coded, samples, watch: coded):
    graph, calibration = canonical(graph), samples.split("calibration")
    coded = correct(graph, quantize(graph, calibrate(graph, MINMAX, calibration)), calibration, watch)
    judged = samples.split("selection").take(32).fit_to(graph)
    ranking = sensitivity(graph, coded, judged, watch, inputs=True)
    layers = layer_figures(graph, coded, judged, watch, ranking)
    return suspects(graph, coded, layers, ranking, costing(graph, judged, watch), PLAIN)


def test_the_planted_layer_is_blamed_and_nobody_else(blamed):
    assert [suspect.name for suspect in blamed] == [breaking_net()[2]]
    assert blamed[0].share > 0.99
    assert blamed[0].codes_db < 10 and blamed[0].weights_db > 40


def test_biases_corrected_behind_it_take_no_blame():
    """They answer for its noise, and would be noise themselves where only their op is quantized."""
    blamed = blamed_of(*breaking_net()[:2], correct_biases)
    assert [suspect.name for suspect in blamed] == [breaking_net()[2]]


def test_the_outlier_channel_is_the_cause(blamed):
    assert blamed[0].causes[0].startswith(f"channel {OUTLIER} is ")
    assert "get fewer than 16 codes" in blamed[0].causes[0]


def test_behind_a_hard_swish_both_are_blamed_and_equalising_is_not_told_to_try():
    blamed = blamed_of(*breaking_swish_net()[:2])
    assert [suspect.name for suspect in blamed] == [PLANTED, f"{PLANTED}.hard_swish"]
    assert blamed[0].causes[0].startswith(f"channel {OUTLIER} is ")
    for suspect in blamed:
        assert [remedy.toml for remedy in suspect.remedies] == [
            f'[quantize.islands]\n"{suspect.name}" = "float32"']


def test_what_to_try_is_what_a_recipe_takes(blamed):
    found = [tomllib.loads(remedy.toml) for remedy in blamed[0].remedies]
    assert found == [{"quantize": {"equalise": True}},
                     {"quantize": {"islands": {breaking_net()[2]: "float32"}}}]
    for lines in found:
        msgspec.convert(lines, Recipe)


def case(recipe=PLAIN, weights_db=None, codes_db=20.0, kind="hard_swish", **figures) -> Case:
    net = Net("one")
    x = net.conv(net.input("x", (1, 4, 4, 2)), 2, "y" if kind == "conv2d" else "a")
    graph = net.graph(x if kind == "conv2d" else net.op(kind, [x], "y", **(
        {"kernel": (2, 2), "stride": (2, 2), "pads": (0,) * 4} if kind == "max_pool2d" else {})))
    plain = {"sqnr_db": 20.0, "cosine": 1.0, "local_db": 20.0, "codes_used": 0.9, "range_used": 0.9,
             "low": -1.0, "high": 1.0, "code_low": -1.0, "code_high": 1.0, "saturated": 0.0, "channels": 2,
             "dead": 0, "spread": 1.0, "widest": 0, "starved": 0.0, "tail": 3.0}
    return Case(graph, Layer(name="y", kind=kind, **{**plain, **figures}), weights_db, codes_db, recipe)


def recipe_with(observer: str) -> Recipe:
    return msgspec.convert({"calibrate": {"observer": observer}}, Recipe)


@pytest.mark.parametrize(("figures", "cause", "tried"), [
    ({"tail": 40.0}, "a long tail: its outermost value lies 40 standard deviations out", 'observer = "mse"'),
    ({"codes_used": 0.1, "range_used": 0.12}, "only 10 % of its codes occur, over 12 % of their reach",
     'observer = "mse"'),
    ({"saturated": 0.02, "high": 3.0}, "2 % of its values are clipped: they reach -1..3, the codes -1..1",
     ""),
    ({"dead": 1}, "1 of 2 channels never change on these samples", None),
    ({"sqnr_db": -float("inf"), "high": float("inf")}, "NaN or Inf: float values reach -1..inf", None),
    ({"kind": "max_pool2d", "codes_used": 0.1},
     "it has to keep the scale of a, of whose codes its values reach only 10 %", None),
    ({"kind": "conv2d", "weights_db": 15.0, "weight_db": 22.0, "worst_weight": 1},
     "its weights: quantized they keep 22 dB, output channel 1 the least", 'rounding = "gptq"'),
    ({"kind": "conv2d", "weights_db": 30.0, "repaired": 2},
     "2 output channels had weights made coarser", None),
    ({}, "its values need more than 8 bits here", None)])
def test_each_cause_in_words(figures, cause, tried):
    found = case(**figures)
    assert any(text.startswith(cause) for text in causes(found))
    lines = [remedy.toml for remedy in remedies(found)]
    assert lines[-1] == '[quantize.islands]\n"y" = "float32"'
    assert tried is None or any(text.endswith(tried) for text in lines)


def test_what_the_recipe_has_already_is_not_tried_again():
    tail = {"tail": 40.0, "saturated": 0.01}
    assert any("mse" in remedy.toml for remedy in remedies(case(**tail)))
    treated = [remedy.toml for remedy in remedies(case(recipe_with("mse"), **tail))]
    assert '[calibrate]\nobserver = "minmax"' in treated and not any("mse" in toml for toml in treated)


def test_weights_are_not_blamed_for_what_codes_cost():
    found = list(causes(case(kind="conv2d", weights_db=50.0, codes_db=10.0, weight_db=40.0, worst_weight=0,
                             spread=30.0)))
    assert found == ["channel 0 is 30 times as wide as the median one and takes the range"]


def test_a_name_that_a_converter_strung_together_is_told_short():
    assert short("model/relu;model/bn;model/conv") == "model/relu;..."
    assert short("features.3.conv") == "features.3.conv"
