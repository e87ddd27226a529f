"""A session over a line on which things go wrong: the right answers, or a typed error."""

import numpy as np
import pytest

from tests.device.standins.dut import ScriptedDut
from tests.device.standins.faults import FAULTS, FaultyLine, half_a_line, reset, silence
from toolchain.artifact import Artifact, Manifest
from toolchain.device import protocol, session
from toolchain.device.protocol import Dut
from toolchain.device.session import TRIES, FirmwareSession
from toolchain.errors import BadReply, DeviceLost, DeviceTimeout, DeviceUnavailable, InvalidMeasurement
from toolchain.port import Port

INPUTS, SAMPLES = 300, 4
SEEDS = 20
"""Of each fault."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    for name in ("REPLY_S", "HELLO_S", "INFER_S"):
        monkeypatch.setattr(protocol, name, 0.005)


def artifact(digest: str = ScriptedDut.digest) -> Artifact:
    manifest = Manifest(name="sums", target="my_board", formats=("c",), graph_digest=digest,
                        inputs={"c": (Port("x", (1, INPUTS), "int8"),)},
                        outputs={"c": (Port("y", (1, ScriptedDut.output_bytes), "int8"),)})
    return Artifact(manifest, {})


def opened(line: FaultyLine, digest: str = ScriptedDut.digest) -> FirmwareSession:
    dut = Dut(line, "board")
    dut.greet()
    return FirmwareSession(artifact(digest), dut, "board", "generated C")


def feeds(seed: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).integers(-128, 128, (SAMPLES, INPUTS)).astype(np.int8)}


def expected(x: np.ndarray) -> np.ndarray:
    board = ScriptedDut(INPUTS)
    return np.stack([np.frombuffer(board.computed(sample.tobytes()), np.int8) for sample in x])


def writes_of_a_run() -> tuple[int, int]:
    """Before the first sample, and in all."""
    line = FaultyLine(ScriptedDut(INPUTS))
    ready = opened(line)
    before = line.writes
    ready.run(feeds(0))
    return before, line.writes


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_costs_time_and_no_answer(name):
    before, total = writes_of_a_run()
    again = 0
    for seed in range(SEEDS):
        at = int(np.random.default_rng(seed).integers(before, total))
        board = opened(FaultyLine(ScriptedDut(INPUTS), FAULTS[name], at, seed))
        x = feeds(seed)
        assert np.array_equal(board.run(x)["y"], expected(x["x"])), f"seed {seed}"
        again += board.tries_again
    assert again >= SEEDS * (0.5 if name in ("nuls", "garbage", "twice") else 0.9)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_stays_is_a_typed_error(name):
    before, total = writes_of_a_run()
    for seed in range(SEEDS):
        at = int(np.random.default_rng(seed).integers(before, total))
        line = FaultyLine(ScriptedDut(INPUTS), FAULTS[name], at, seed, lasting=True)
        board, x = opened(line), feeds(seed)
        try:
            got = board.run(x)["y"]
        except (DeviceUnavailable, BadReply):
            continue
        assert np.array_equal(got, expected(x["x"])), f"seed {seed}"


@pytest.mark.parametrize("fault, error, words", [
    (reset, DeviceLost, "board restarted in the middle of '.*'; is its supply stable"),
    (half_a_line, DeviceUnavailable, "board gave no answer to|board says nothing"),
    (silence, DeviceUnavailable, "board says nothing: 20 hellos")])
def test_what_is_said_where_it_stays(fault, error, words):
    before, _ = writes_of_a_run()
    board = opened(FaultyLine(ScriptedDut(INPUTS), fault, before, lasting=True))
    with pytest.raises(error, match=words):
        board.run(feeds(0))


def test_a_board_that_hangs_in_an_inference(monkeypatch):
    """Not for INFER_S again: inferences before were short."""
    limits, count = [], Dut.count

    def hanging(dut: Dut, seconds: float):
        limits.append(seconds)
        if len(limits) > 2:
            raise DeviceTimeout("board gave no answer to 'count'")
        return count(dut)

    monkeypatch.setattr(Dut, "count", hanging)
    monkeypatch.setattr(session, "INFER_S", 600.0)
    with pytest.raises(DeviceTimeout, match="board gave no answer to 'count'"):
        opened(FaultyLine(ScriptedDut(INPUTS))).run(feeds(0))
    assert limits[0] == 600.0 and max(limits[1:]) < 20 and len(limits) == 2 + TRIES


def test_another_model_after_a_restart_is_not_measured():
    """Somebody flashed the board meanwhile."""
    line = FaultyLine(ScriptedDut(INPUTS))
    board = opened(line)
    line.dut.digest = "0" * 64
    line._fault, line._at = reset, line.writes + 1
    with pytest.raises(InvalidMeasurement, match="board runs the model 000000000000, the artefact is d16e"):
        board.run(feeds(0))


def test_another_model_is_refused_at_once():
    with pytest.raises(InvalidMeasurement, match="board runs the model d16e57d16e57, the artefact is aaaa"):
        opened(FaultyLine(ScriptedDut(INPUTS)), "a" * 64)


def test_an_output_of_another_size():
    line = FaultyLine(ScriptedDut(INPUTS))
    board = opened(line)
    line.dut.computed = lambda data: bytes(3)
    with pytest.raises(BadReply, match="board: output y has 3 bytes, not 5"):
        board.run(feeds(0))
