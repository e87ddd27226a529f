"""Two artefacts compared on a device; what a verdict is made of: tests/device/latency/test_comparison.py."""

from pathlib import Path

import pytest

from tests.lower.c.nets import residual_net
from toolchain.artifact import Artifact
from toolchain.comparing import as_text, compared
from toolchain.device.latency import comparison
from toolchain.errors import InvalidMeasurement, Unsupported
from toolchain.lower import lower
from toolchain.profile import load_target


@pytest.fixture(scope="module")
def net() -> Artifact:
    return lower(residual_net(), load_target("host"), {})


def test_of_two_that_are_equal_no_difference_is_told_or_the_machine_was_disturbed(net, monkeypatch):
    """In real processes of the native runner; a machine that runs tests is no quiet one."""
    judged = []
    monkeypatch.setattr("toolchain.comparing.compare",
                        lambda processes, problems: judged.append(comparison.decide(processes)) or judged[0])
    found = compared(net, net, None)
    assert judged[0].processes >= comparison.FEWEST_PROCESSES and 0.8 < found.comparison.ratio < 1.25
    assert (found.device, found.runner, found.baseline) == ("host", "native", found.candidate)
    assert found.comparison.verdict in as_text(found) and found.runtime in as_text(found)


def test_a_disturbed_device_gives_no_verdict(net, monkeypatch):
    def disturbed(processes, problems):
        raise InvalidMeasurement(f"the comparison is invalid: {len(processes)} processes")

    monkeypatch.setattr("toolchain.comparing.compare", disturbed)
    with pytest.raises(InvalidMeasurement, match="the comparison is invalid"):
        compared(net, net, None)


def test_an_emulated_board_keeps_no_time():
    built = lower(residual_net(), load_target("cortex_m4_qemu"), {})
    with pytest.raises(Unsupported, match="cortex_m4_qemu keeps no time that two artefacts could be"):
        compared(built, built, None)


def test_files_of_different_formats(net, tmp_path: Path):
    from toolchain.deploy import open_artifact

    for fmt in ("tflite", "onnx"):
        (tmp_path / f"net.{fmt}").write_bytes(net.model(fmt))
    with pytest.raises(Unsupported, match="have no .tflite or .onnx file in common that host runs"):
        compared(*(open_artifact(tmp_path / f"net.{fmt}") for fmt in ("tflite", "onnx")), None)
