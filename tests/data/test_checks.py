"""What is wrong with a set is found and named, and nothing is said of one that is well."""

from dataclasses import replace

import numpy as np
import pytest

from toolchain.data import Preprocessing, Samples
from toolchain.data.checks import examine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 10, 3)).astype(np.float32)
FILES = [f"{i}.png" for i in range(120)]


def samples(x=X, **more) -> Samples:
    return Samples("set", {"x": x}, more.pop("y", None), more.pop("splits", None), np.arange(len(x)), **more)


def said(found: Samples) -> list[str]:
    return [str(finding) for finding in examine(found).findings]


def changed(*at, value):
    x = X.copy()
    x[at] = value
    return x


def test_figures_are_numpy_s_after_mean_and_scale():
    summary = examine(samples(preprocessing=Preprocessing((1.0, 2.0, 3.0), 0.5)))
    fed = ((X - [1, 2, 3]) / 0.5).astype(np.float64)
    one, = summary.inputs
    assert (one.shape, one.dtype, summary.n) == ((10, 3), "float32", 120)
    assert np.allclose(one.channel_mean, fed.mean(axis=(0, 1)), atol=1e-5)
    assert np.allclose(one.channel_std, fed.std(axis=(0, 1)), atol=1e-5)
    assert np.allclose((one.low, one.high, one.mean), (fed.min(), fed.max(), fed.mean()), atol=1e-5)


def test_nothing_is_said_of_a_set_that_is_well():
    splits = np.repeat(["train", "calibration", "test"], 40)
    assert not said(samples(y=np.tile([0, 1, 2], 40), splits=splits, classes=("a", "b", "c")))


@pytest.mark.parametrize("found, message", [
    (samples(changed(slice(100, None, 10), 4, value=np.nan)),
     "error: x: 2 of 120 samples hold NaN or Inf, the first is 100"),
    (samples(changed(70, value=3.0)), "warning: x: 1 of 120 samples hold one value only, the first is 70"),
    (samples(0 * X + np.arange(120)[:, None, None]), "error: x: 120 of 120 samples hold one value only"),
    (samples(np.repeat(X[:1], 120, 0)), "error: all 120 samples are the same"),
    (samples(changed(..., 1, value=5.0), channels=("a", "b", "c")), "warning: x: channel b never changes"),
    (samples(changed(80, value=X[3]), splits=np.repeat(["train", "test"], 60), files=FILES),
     "error: 1 samples are in two splits, such as 3 (3.png) (train) and 80 (80.png) (test): what is"),
    (samples(changed(80, value=X[3])), "warning: 1 samples are there more than once, such as 3 and 80"),
    (samples(y=np.where(np.arange(120) > 110, np.nan, 1.0)),
     "error: y: 9 of 120 labels hold NaN or Inf, the first is that of 111"),
    (samples(y=np.arange(120) % 2, classes=("a", "b", "c")), "warning: y: has no sample of class c"),
    (samples(y=(np.arange(120) % 20 == 0).astype(int)), "warning: y: has 114 samples of its largest"),
    (samples(RNG.integers(0, 255, (4, 3, 8, 8)), layout="channels_last"), "look like channels first, but"),
    (samples(RNG.integers(0, 255, (4, 8, 8, 3))), "note: x: whether its colours are in the order red, green"),
    (replace(samples(), notes=("only its first 50 samples were read",)), "warning: only its first 50"),
])
def test_what_is_wrong_is_named(found, message):
    assert any(message in line for line in said(found)), said(found)


def test_errors_come_first():
    found = samples(changed(70, value=3.0))
    found.x["x"][5, 0] = np.inf
    assert [line.split(":")[0] for line in said(found)] == ["error", "warning"]


def test_the_digest_is_of_the_samples_wherever_they_lie():
    assert examine(samples()).digest == examine(samples(X.copy())).digest
    assert examine(samples()).digest != examine(samples(X[::-1])).digest
