"""Following a chain: each sample runs until a stage is sure, and no further."""

import msgspec
import numpy as np
import pytest

from toolchain.levels import Levels
from toolchain.policy import ONE, Policy
from toolchain.port import Port
from toolchain.stages import ChainRecord, Looked, StageRecord, followed, may_run, on_grid


def test_each_sample_stops_where_a_stage_is_sure():
    """Sure is a first logit far above the others; the second stage sees what the first has made."""
    seen = []

    def stage(number, known):
        seen.append(known["x"].tolist())
        x = known["x"] if number == 0 else known["doubled"]
        logits = np.stack([x, np.zeros_like(x)], axis=1).astype(np.float32)
        return Looked(logits, logits * 10, {"doubled": 2 * x})

    policies = (Policy(temperature=1.0, bound=int(ONE * 1.01)),) * 2
    logits, path = followed([lambda known, n=n: stage(n, known) for n in range(3)], policies,
                            {"x": np.array([1.0, 9.0, 4.0, 0.5])})
    assert path.tolist() == [2, 0, 1, 2] and path.dtype == np.int32
    assert seen == [[1.0, 9.0, 4.0, 0.5], [1.0, 4.0, 0.5], [1.0, 0.5]]
    assert logits[:, 0].tolist() == [40.0, 90.0, 80.0, 20.0]


def test_stages_that_nothing_reaches_do_not_run():
    def never(known):
        raise AssertionError("ran")

    sure = Looked(np.array([[50.0, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32), {})
    policies = (Policy(temperature=1.0, bound=2 * ONE),)
    _, path = followed([lambda known: sure, never], policies, {"x": np.ones(1)})
    assert path.tolist() == [0]


def by_number(numbers: list[int]):
    """Stages that note that they ran, sure of what is not 5."""
    def stage(number, known):
        numbers.append(number)
        logits = np.stack([known["x"], np.full_like(known["x"], 5)], axis=1)
        return Looked(logits.astype(np.float32), logits + number, {})

    return [lambda known, n=n: stage(n, known) for n in range(3)]


@pytest.mark.parametrize("level, path", [(0, [0, 0]), (1, [0, 1]), (2, [0, 2]), (None, [0, 2])])
def test_held_to_a_level_its_stage_answers_at_the_latest(level, path):
    ran, sure = [], (Policy(temperature=0.1, bound=2 * ONE - 1),) * 2
    logits, found = followed(by_number(ran), sure, {"x": np.array([9.0, 5.0])}, may_run(3, False, level))
    assert found.tolist() == path and ran == [*range(max(path) + 1)]
    assert logits[:, 0].tolist() == [9 + path[0], 5 + path[1]]


@pytest.mark.parametrize("level, number", [(0, 0), (1, 1), (2, 2), (None, 2)])
def test_of_stages_apart_one_runs(level, number):
    ran = []
    _, found = followed(by_number(ran), (), {"x": np.array([9.0, 1.0])}, may_run(3, True, level))
    assert ran == [number] and found.tolist() == [number, number]


def test_codes_on_the_chains_grid_keep_their_order():
    codes = np.arange(-128, 128, dtype=np.int8)[None]
    for zero_point in (-128, 0, 127):
        found = on_grid(codes, zero_point, 128)
        assert found.dtype == np.int16 and (np.diff(found.astype(int)) == 128).all()
        assert found[0, zero_point + 128] == 0


PORT = Port("x", (1, 4), "float32")
LOGITS = Port("logits", (1, 2), "float32")
STAGE = StageRecord({"graph": (PORT,), "onnx": (PORT,)}, {"graph": (LOGITS,), "onnx": (LOGITS,)})
RECORD = ChainRecord((STAGE, STAGE), (Policy(temperature=1.0, bound=ONE),))
HELD = msgspec.structs.replace(RECORD, levels=Levels((1, 2), "MACs"), level=1)
APART = msgspec.structs.replace(HELD, policies=(), apart=True)
OTHER = msgspec.structs.replace(STAGE, inputs={"graph": (Port("y", (1, 4), "float32"),), "onnx": (PORT,)})


@pytest.mark.parametrize("record, fits", [
    (RECORD, True),
    (HELD, True),
    (APART, True),
    (msgspec.structs.replace(APART, policies=RECORD.policies), False),
    (msgspec.structs.replace(HELD, levels=Levels((1, 2, 3), "MACs")), False),
    (msgspec.structs.replace(HELD, levels=Levels((2, 1), "MACs")), False),
    (msgspec.structs.replace(HELD, levels=Levels((2, 2), "MACs")), True),
    (msgspec.structs.replace(HELD, level=2), False),
    (msgspec.structs.replace(RECORD, policies=()), False),
    (msgspec.structs.replace(RECORD, stages=(STAGE, OTHER)), False),
    (msgspec.structs.replace(RECORD, stages=(STAGE, msgspec.structs.replace(STAGE, outputs={}))), False)],
    ids=["whole", "held", "apart", "a policy too many", "a cost too many", "costs that fall", "equal costs",
         "a level too high", "a policy too few", "an input that nobody makes", "no ports"])
def test_a_record_fits_together(record, fits):
    assert record.fits({"graph", "onnx"}, {"x"}) is fits
    assert msgspec.json.decode(msgspec.json.encode(record), type=ChainRecord) == record


@pytest.mark.parametrize("policy", [{"temperature": 0, "bound": 1}, {"temperature": 1, "bound": -1},
                                    {"temperature": 1, "bound": 2**32},
                                    {"temperature": 1, "bound": 1, "table": [ONE + 1]},
                                    {"temperature": 1, "bound": 1, "table": [1] * 257}])
def test_a_policy_that_no_device_could_follow_is_refused(policy):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(policy, Policy)
