"""Chains of graphs: what goes together, what comes out, and what the reference makes of it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests import chains
from toolchain.chain import Chain, every_logits, run_chain
from toolchain.errors import BadInput, Unsupported
from toolchain.ir.quant import QuantParams
from toolchain.policy import Policy


@pytest.mark.parametrize("make", [chains.cascade, chains.handing_on])
def test_the_answer_is_the_first_sure_stages(make):
    chain = make()
    feeds = chains.feeds(chain, 50, seed=7)
    logits, found = every_logits(chain, feeds), run_chain(chain, feeds)
    for row, path in enumerate(found["path"]):
        sure = [policy.answers(own[row:row + 1])[0] for policy, own in zip(chain.policies, logits)]
        assert path == ([*sure, True]).index(True)
        assert found[chain.logits.name][row].argmax() == logits[path][row].argmax()
    assert set(found["path"]) == set(range(len(chain.stages)))


def test_logits_of_all_stages_are_on_one_grid():
    chain = chains.cascade()
    assert chain.multipliers == (57, 128) and chain.logits.dtype == "int16"
    assert float(chain.logits.quant.scale) == pytest.approx(0.009 / 128)
    feeds = chains.feeds(chain, 20)
    found, own = run_chain(chain, feeds), every_logits(chain, feeds)
    for row, path in enumerate(found["path"]):
        scale, zero_point = ((0.004, 3), (0.009, -7))[path]
        reals = scale * (own[path][row].astype(float) - zero_point)
        np.testing.assert_allclose(found["logits"][row] * 0.009 / 128, reals, rtol=0.01, atol=1e-6)


def test_its_ends_are_its_stages():
    chain = chains.handing_on()
    assert chain.ends.inputs == ("x",) and chain.ends.outputs == ("logits_2", "path")
    assert chain.macs == 8 * 8 * 9 * (3 * 6 + 6 * 8 + 14 * 8) + 5 * (6 + 8 + 8)


def test_the_digest_is_of_stages_and_policies():
    chain = chains.cascade()
    others = [replace(chain, policies=(msgspec.structs.replace(chain.policies[0], bound=5),)),
              replace(chain, stages=chain.stages[::-1])]
    assert len({chain.digest, *(other.digest for other in others), chains.cascade().digest}) == 3


@pytest.mark.parametrize("last, error, message", [
    (chains.network("large", 4, 0.01, classes=6), BadInput,
     r"stages tell different classes apart \(small: 5, large: 6\); take networks of one task"),
    (chains.network("large", 4, 4.0), Unsupported, "more than 256 times apart")])
def test_stages_that_do_not_go_together(last, error, message):
    small = chains.network("small", 4, 0.004)
    with pytest.raises(error, match=message):
        Chain("both", (small, last), (Policy(temperature=1.0, bound=0),))


def test_codes_that_stand_for_something_else():
    small, large = chains.cascade().stages
    x = replace(large.tensors["x"], quant=QuantParams(0.06, 3))
    with pytest.raises(BadInput, match="large takes x as int8 .* or its codes are others"):
        Chain("both", (small, large.with_tensors(x)), (Policy(temperature=1.0, bound=0),))


def test_what_is_no_logits():
    net = chains.Net("image")
    image = net.finish(net.conv(net.codes_in("x", 1, 8, 8, 3), "image", 3))
    with pytest.raises(Unsupported, match=r"output image \[1, 8, 8, 3\] is no logits of 2 to 65,535 classes"):
        Chain("both", (image, image), (Policy(temperature=1.0, bound=0),))
