"""Figures of the user's benchmark_model: what it tells, what it does not, and the conditions it ran under."""

from pathlib import Path

import pytest

from tests.device.artifacts import residual
from toolchain.device.boards import Board
from toolchain.device.measure import measure
from toolchain.device.metering import NO_METER
from toolchain.device.place import Place
from toolchain.device.transports.transport import Finished
from toolchain.device.ways import BENCHMARK_MODEL, Way
from toolchain.errors import BadReply
from toolchain.profile import load_target

TOLD = Path(__file__).parent / "benchmark_model"
WAY = Way("tflite", "litert", BENCHMARK_MODEL, note="the user's own program")
HOT = b"Thermal Status: 3\nCached temperatures:\nHAL Ready: false\n"


class Phone:
    """A Transport whose benchmark_model prints what one printed elsewhere."""

    name, folder = "phone", "/data/local/tmp/edge"

    def __init__(self, said: bytes, heat: bytes = b""):
        self.said, self.heat, self.asked = said, heat, []

    def push(self, files, executable=()):
        return {name: f"{self.folder}/files/0/{name}" for name in files}

    def start(self, argv, *, seconds, most_bytes=0) -> Finished:
        self.asked.append(list(argv))
        if argv[0].endswith("/benchmark_model"):
            return Finished(0, self.said, b"")
        if argv[:2] == ("dumpsys", "thermalservice") and self.heat:
            return Finished(0, self.heat, b"")
        return Finished(1, b"", b"")


@pytest.fixture
def program(tmp_path) -> str:
    (tmp_path / "benchmark_model").write_bytes(b"#!/system/bin/sh\n")
    return str(tmp_path / "benchmark_model")


def at(phone: Phone, program: str, **facts) -> Place:
    board = Board(target="android_arm64", transport="adb", address="0A1B2C", name="phone",
                  benchmark_model=program, **facts)
    return Place("phone", load_target("android_arm64"), board, phone)


def told(name: str) -> bytes:
    return (TOLD / f"{name}.txt").read_bytes()


def test_what_it_tells(program):
    phone = Phone(told("quantiles"))
    found = measure(residual(), at(phone, program), WAY, threads=4, seconds=2.0)
    assert (found.latency_us.median, found.latency_us.samples, found.cold_us.load) == (105718, 50, 87639)
    assert found.latency_us.p90 is found.latency_us.p99 is found.parity is found.peak_rss_bytes is None
    assert found.runner == BENCHMARK_MODEL and found.problems == ()
    assert found.conditions["latency"] == "a median" and found.conditions["note"] == "the user's own program"
    assert found.conditions["energy"] == NO_METER and found.conditions["memory_growth_mb"] == 14.8164
    assert any("--num_threads=4" in words for words in phone.asked)


def test_a_version_that_tells_no_median_is_said_so(program):
    found = measure(residual(), at(Phone(told("one_warm_up")), program), WAY)
    assert found.conditions["latency"] == "a mean: it tells no median" and found.latency_us.median > 0


def test_a_phone_that_is_hot_breaks_it(program):
    found = measure(residual(), at(Phone(told("quantiles"), HOT), program), WAY)
    assert "Android's thermal status was 3 (severe)" in found.problems[0]


def test_a_meter_is_of_no_use_and_an_emulated_phone_has_no_time(program):
    found = measure(residual(), at(Phone(told("quantiles")), program, meters=("odpm",)), WAY)
    assert found.energy is None and found.conditions["energy"].startswith("not measured: benchmark_model")
    found = measure(residual(), at(Phone(told("quantiles")), program, emulated=True), WAY)
    assert found.emulated and found.latency_us is found.cold_us is None
    assert found.conditions["time"] == found.conditions["energy"] == "emulated: none"


def test_garbage_is_a_bad_reply(program):
    with pytest.raises(BadReply, match="0 times of loading where 1 is due"):
        measure(residual(), at(Phone(b"\x00\xff" * 100), program), WAY)
