"""A model on a device that runs programs: here by the local transport, and by one that does as it is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
import sys

import msgspec
import numpy as np
import pytest

from tests.device.artifacts import residual, vectors
from toolchain.artifact import Artifact
from toolchain.device import programs
from toolchain.device.boards import Board
from toolchain.device.local import open_session
from toolchain.device.measure_programs import bench_feeds
from toolchain.device.place import Place, open_place
from toolchain.device.programs import INPUT, ProgramSession
from toolchain.device.transports.local import open_local
from toolchain.device.transports.transport import Finished
from toolchain.device.ways import LINUX, NATIVE, PYTHON, Way
from toolchain.errors import (
    BadModel,
    BadReply,
    BadSamples,
    DeviceExhausted,
    DeviceLost,
    DeviceTimeout,
    RuntimeMissing,
)
from toolchain.profile import load_target

HERE = [way for way in LINUX if way.runtime != "tflite-runtime"]
OLD = Way("tflite", "tflite-runtime", PYTHON)
LITERT = Way("tflite", "litert", NATIVE)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    """This computer, in a folder of these tests' own: others run beside them."""
    folder = tmp_path_factory.mktemp("device")
    with open_place(load_target("host"), None) as found, open_local(folder / "local") as transport:
        yield replace(found, transport=transport)


def names(way: Way) -> str:
    return f"{way.fmt}-{way.runtime}-{way.runner}"


@pytest.fixture(params=HERE, ids=names)
def session(request, place) -> ProgramSession:
    return ProgramSession(place, residual(), request.param)


def test_outputs_are_those_of_this_process(session):
    fmt, artifact = session.way.fmt, residual()
    feeds = bench_feeds(artifact, fmt)
    got = session.run(feeds)["probability"]
    if fmt == "c":
        np.testing.assert_array_equal(got, vectors(artifact, "output")["probability"])
    else:
        expected = open_session(fmt, artifact.model(fmt)).run(feeds)["probability"]
        np.testing.assert_array_equal(got, expected)
    assert got.dtype == np.dtype(artifact.manifest.outputs[fmt][0].dtype) and len(got) == 4


def test_a_timed_run_and_its_clock(session):
    before, feeds = session.clock_s(), bench_feeds(residual(), session.way.fmt)
    record = session.time(feeds, 0.01, 20, every=3)
    after = session.clock_s()
    assert before < record.began_ns / 1e9 < record.ended_ns / 1e9 < after
    assert record.inferences >= 20 and record.every == 3 and record.load_ns > 0 and record.vm_hwm_kb > 100
    assert session.runtime == record.runtime and session.runtime != session.way.runtime
    if session.way.fmt == "c":
        assert 10_000 < session.file_bytes < 5_000_000  # a static program
    else:
        assert session.file_bytes == len(residual().model(session.way.fmt))


def test_ops_are_told_where_the_way_says_so(session):
    feeds = bench_feeds(residual(), session.way.fmt)
    if session.way.profiles:
        ops = session.profile(feeds, 0.02).ops
        assert len(ops) >= 5 and sum(op.ns for op in ops) > 0
    else:
        with pytest.raises(BadReply, match="has no profiler"):
            session.profile(feeds, 0.02)


def test_nothing_stays_in_the_folder_of_runs(session):
    session.run(bench_feeds(residual(), session.way.fmt))
    assert list((Path(session.transport.folder) / "runs").iterdir()) == []


@pytest.mark.parametrize("way", [LITERT, Way("c", "c", NATIVE)], ids=names)
def test_many_samples_go_in_parts_and_do_not_stay(place, monkeypatch, way):
    """Three at a time, as large ones would; the same answers as of all at once."""
    feeds = {name: np.concatenate([values] * 2)
             for name, values in bench_feeds(residual(), way.fmt).items()}
    whole = ProgramSession(place, residual(), way)
    expected, before = whole.run(feeds)["probability"], samples_there(place)
    monkeypatch.setattr(programs, "BATCH_BYTES", 3 * sum(value[0].nbytes for value in feeds.values()))
    monkeypatch.setattr(programs, "KEPT_BYTES", 0)
    session = ProgramSession(place, residual(), way)
    assert whole.at_once > 1000 and session.at_once == 3
    np.testing.assert_array_equal(session.run(feeds)["probability"], expected)
    assert samples_there(place) == before


def samples_there(place: Place) -> set[Path]:
    return set(Path(place.transport.folder).glob(f"files/*/{INPUT}"))


def test_a_feed_of_another_shape_is_refused_before_it_is_sent(session):
    sent = session.transport.sent_bytes
    with pytest.raises(BadSamples):
        session.run({"x": np.zeros((2, 8, 8), np.int8)})
    assert session.transport.sent_bytes == sent


@pytest.mark.parametrize("way", [LITERT, Way("tflite", "litert", PYTHON), Way("onnx", "onnxruntime", NATIVE),
                                 Way("onnx", "onnxruntime", PYTHON)], ids=names)
def test_a_model_that_the_runtime_refuses(place, way):
    name = f"model.{way.fmt}"
    broken = Artifact(residual().manifest, {**residual().files, name: b"no model" * 50}, residual().vectors)
    session = ProgramSession(place, broken, way)
    with pytest.raises(BadModel, match=rf"residual as .*{way.runner} runner on host: .*\(code 3\)"):
        session.run(bench_feeds(broken, way.fmt))


def test_a_runtime_that_is_not_there(place):
    with pytest.raises(RuntimeMissing, match="no tflite-runtime here.*; install it there, name its `python`"):
        ProgramSession(place, residual(), OLD).run(bench_feeds(residual(), "tflite"))


def test_the_python_of_a_board(place):
    with open_local(name="here") as transport:
        def program(**named: str) -> str:
            board = Board(target="host", transport="local", name="here", **named)
            at = Place("here", load_target("host"), board, transport)
            return ProgramSession(at, residual(), OLD)._program[0]

        assert program() == sys.executable and program(python="/opt/own/python") == "/opt/own/python"
    elsewhere = Place("pi", load_target("raspberry_pi_4"), Board(target="raspberry_pi_4", transport="ssh"),
                      place.transport)
    assert ProgramSession(elsewhere, residual(), OLD)._program[0] == "python3"


class Scripted:
    """A Transport that takes all files, and whose programs end as they are told to."""

    name, folder = "far", "/home/pi/.edge"

    def __init__(self, end: Callable[[], Finished]):
        self.end, self.started, self.pushed = end, [], {}

    def push(self, files, executable=()):
        self.pushed |= files
        return {name: f"{self.folder}/files/0/{name}" for name in files}

    def start(self, argv, *, seconds, most_bytes=0) -> Finished:
        self.started.append((argv, seconds, most_bytes))
        return Finished(0, b"", b"") if argv[0] == "rm" else self.end()

    def read(self, path, most_bytes=0):
        raise AssertionError("nothing is read where nothing went well")


def far(end: Callable[[], Finished], way: Way = OLD, **facts) -> ProgramSession:
    board = Board(target="raspberry_pi_4", transport="ssh", address="pi@10.9.8.7", name="far", **facts)
    return ProgramSession(Place("far", load_target("raspberry_pi_4"), board, Scripted(end)), residual(), way)


def ends(code: int, stdout: bytes = b"", stderr: bytes = b"") -> Callable[[], Finished]:
    return lambda: Finished(code, stdout, stderr)


@pytest.mark.parametrize("end, error, said", [
    (ends(3, stderr=b"edge-runner: op 7 is not known\n"), BadModel, r"op 7 is not known \(code 3\)"),
    (ends(4, stderr=b"edge-runner: no memory\n"), DeviceExhausted, r"no memory \(code 4\)"),
    (ends(5, stderr=b"edge-runner: none here\n"), RuntimeMissing, r"none here \(code 5\); install it there"),
    (ends(2, stderr=b"edge-runner: odd input\n"), BadReply, r"odd input \(code 2\)"),
    (ends(137), DeviceExhausted, r"it said nothing \(code 137\): it was killed there"),
    (ends(139, stderr=b"\x1b[2Jnoise \xff"), BadReply, r"noise . \(code 139\)"),
    (ends(0, b"half a rec"), BadReply, "half a one or garbage"),
    (ends(0, b"edge-runner 1\nruntime x\nend\n"), BadReply, "lacks load_ns")])
def test_a_program_that_ends_badly(end, error, said):
    session = far(end)
    with pytest.raises(error, match=said) as raised:
        session.run(bench_feeds(residual(), "tflite"))
    assert "10.9.8.7" not in str(raised.value) and "\x1b" not in str(raised.value)
    assert session.transport.started[-1][0][:2] == ["rm", "-f"]


@pytest.mark.parametrize("error", [DeviceLost, DeviceTimeout, BadReply])
def test_what_a_transport_raises_passes_through(error):
    def end() -> Finished:
        raise error("far: it hangs, floods or is gone")

    with pytest.raises(error, match="hangs"):
        far(end).time(bench_feeds(residual(), "tflite"), 1.0, 5)


def test_time_and_size_of_a_run_are_bounded():
    for emulated, patience_s in ((False, 120), (True, 1800)):
        session = far(ends(2), emulated=emulated)
        with pytest.raises(BadReply):
            session.time(bench_feeds(residual(), "tflite"), 7.0, 5)
        argv, seconds, most_bytes = session.transport.started[-1]
        assert seconds == 7 + patience_s and 0 < most_bytes <= 2**28
        assert argv[:5] == ["python3", "/home/pi/.edge/files/0/edge_runner.pyz", "tflite-runtime", "time",
                            "/home/pi/.edge/files/0/model.tflite"]
        assert session.transport.pushed[INPUT] == residual().vectors["input/x"].tobytes()


def test_more_time_than_passed_is_not_believed(place, monkeypatch):
    session = ProgramSession(place, residual(), LITERT)
    feeds = bench_feeds(residual(), "tflite")
    slow = programs.parse

    def boastful(stdout: bytes, mode: str):
        record = slow(stdout, mode)
        return msgspec.structs.replace(record, ended_ns=record.began_ns + 3_600_000_000_000)

    monkeypatch.setattr(programs, "parse", boastful)
    with pytest.raises(BadReply, match=r"host: its runner tells of 3600 s within 0\.\d+ s of this host's"):
        session.time(feeds, 0.01, 20)
