"""The serial transport; QEMU, on a pty, stands in for a board, so that its microseconds mean nothing."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from tests.device.test_qemu import artifact, random_feeds
from tests.lower.c.nets import residual_net, two_ended_net
from toolchain.artifact import Artifact
from toolchain.deploy import Wish, bench, deployed
from toolchain.device import qemu
from toolchain.device.board import LEAST_SAMPLES, open_board
from toolchain.device.firmware import build_firmware
from toolchain.errors import DeviceUnavailable, InvalidMeasurement
from toolchain.profile import load_target
from toolchain.runtime import reference

PROFILE = load_target("cortex_m4_qemu")
BOARD = msgspec.structs.replace(PROFILE, name="my_board", transport="serial", machine="")


@pytest.fixture(scope="module")
def built() -> Artifact:
    """With its sizes, as a build of the pipeline has them."""
    plain = artifact(two_ended_net())
    manifest = msgspec.structs.replace(plain.manifest, profile=BOARD, target=BOARD.name,
                                       static_bytes=build_firmware(plain, BOARD).sizes)
    return Artifact(manifest, plain.files)


@pytest.fixture(scope="module")
def port(built) -> Iterator[str]:
    with qemu.powered(build_firmware(built, BOARD).elf, PROFILE) as (device, _):
        yield device


@pytest.mark.emulated
def test_a_board_gives_the_references_codes(built, port):
    graph = two_ended_net()
    feeds = random_feeds(graph, 3)
    expected = reference.run(graph, feeds)
    with deployed(built, port) as session:
        got = session.run(feeds)
    assert all(np.array_equal(value, got[name]) for name, value in expected.items())


@pytest.mark.emulated
def test_a_board_is_measured_in_its_own_microseconds(built, port):
    """At 25 MHz of virtual time, an instruction is 0.256 of them."""
    outcome, = bench(built, port, Wish(seconds=0.2))
    measured = outcome.measurement
    with qemu.open_device(built, PROFILE) as session:
        instructions = session.bench().instructions
    assert measured.latency_us.median == pytest.approx(0.256 * instructions, abs=0.1)
    assert (measured.instructions, measured.emulated, measured.device) == (None, False, "my_board")
    assert measured.conditions["port"] == port and measured.conditions["firmware"] == "my_board"
    assert measured.conditions["samples"] == len(measured.latency_samples_us) >= LEAST_SAMPLES
    assert 0 < measured.stack_bytes < 1024 and measured.flash_bytes == built.manifest.static_bytes["flash"]


@pytest.mark.emulated
def test_another_models_firmware_is_refused(port):
    with pytest.raises(InvalidMeasurement, match=f"my_board at {port} runs the model .*; build it again"):
        with open_board(artifact(residual_net()), msgspec.structs.replace(BOARD, port=port)):
            pass


def test_a_port_that_is_not_there(built):
    message = "there is no /dev/ttyNONE, the port of my_board; is it plugged in, by a cable that carries"
    with pytest.raises(DeviceUnavailable, match=message):
        list(bench(built, "/dev/ttyNONE"))


def test_a_board_without_a_port(built):
    with pytest.raises(DeviceUnavailable, match="my_board is at the end of a serial line; say which: --dev"):
        list(bench(built, None))


def test_what_is_built_for_a_board_does_not_run_on_the_host(built):
    with pytest.raises(DeviceUnavailable, match="an artefact for my_board cannot run on 'host'"):
        list(bench(built, "host"))
