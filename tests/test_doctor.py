"""What the machine has: the compiled counter of calibration, ways to run models on phones."""

from pathlib import Path

import pytest

from toolchain import doctor
from toolchain.device.android import AndroidFacts
from toolchain.device.transports import adb
from toolchain.errors import DeviceUnavailable
from toolchain.quantize import counting


def finding() -> doctor.Finding:
    found, = (finding for finding in doctor.findings() if finding.name == "counting.c")
    return found


def test_the_compiled_counter_is_named_with_its_place(tmp_path, monkeypatch):
    library = tmp_path / "counting_c.so"
    library.touch()
    monkeypatch.setattr(counting, "compiled", lambda: library)
    assert finding() == doctor.Finding("counting.c", True, False, str(library))


def test_without_it_what_it_is_for_and_how_to_get_it_is_said(monkeypatch):
    monkeypatch.setattr(counting, "compiled", lambda: None)
    assert not finding().ok and finding().detail.endswith("get it with: make setup")


FAKE = Path(__file__).parent / "device/fake_benchmark_model.sh"
ROUTES = ["tflite by benchmark_model", "tflite by own library", "c by generated C", "tflite by glibc loader",
          "onnx by glibc loader"]
PIXEL = AndroidFacts(("arm64-v8a", "armeabi-v7a"), 35, "Pixel 8", True)


@pytest.fixture
def plugged(tmp_path, monkeypatch) -> list[adb.AdbDevice]:
    """What adb lists; boards.toml knows PHONE-1."""
    found: list[adb.AdbDevice] = []
    boards = tmp_path / "boards.toml"
    boards.write_text('[boards.mine]\ntarget = "android_arm64"\ntransport = "adb"\naddress = "PHONE-1"\n'
                      f'benchmark_model = "{FAKE}"\n')
    monkeypatch.setenv("EDGE_BOARDS", str(boards))
    for name in ("EDGE_BENCHMARK_MODEL", "EDGE_LITERT_AAR", "ANDROID_NDK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(adb, "devices", lambda: found)
    return found


def routes_of(name: str) -> dict[str, doctor.Finding]:
    found = [finding for finding in doctor.findings() if finding.name == name]
    return {finding.detail.partition(":")[0]: finding for finding in found}


def test_the_ways_of_any_phone_are_told_with_what_each_needs(plugged):
    found = routes_of("android_arm64")
    assert list(found) == ROUTES and not any(one.required for one in found.values())
    assert not found["tflite by benchmark_model"].ok
    assert "EDGE_BENCHMARK_MODEL" in found["tflite by benchmark_model"].detail
    assert not found["tflite by own library"].ok and "AAR" in found["tflite by own library"].detail
    assert all("never" in one.detail for one in found.values() if one.ok)


def test_32_bits_have_no_runtimes_library(plugged):
    found = routes_of("android_armv7")
    assert list(found) == ROUTES
    assert not any(found[name].ok for name in ROUTES if "loader" in name)


def test_a_program_that_is_named_for_a_phone_is_found(plugged, monkeypatch):
    monkeypatch.setenv("EDGE_BENCHMARK_MODEL", str(FAKE))
    assert routes_of("android_arm64")["tflite by benchmark_model"].ok


def test_a_phone_that_is_plugged_in_has_its_own_ways(plugged):
    plugged += [adb.AdbDevice("PHONE-1", "device", PIXEL), adb.AdbDevice("PHONE-2", "device", PIXEL)]
    assert routes_of("mine")["tflite by benchmark_model"].ok
    assert not routes_of("Pixel 8")["tflite by benchmark_model"].ok
    assert not any("PHONE" in finding.detail or "PHONE" in finding.name for finding in doctor.findings())


def test_a_phone_that_lets_nobody_in_says_what_to_do(plugged):
    plugged.append(adb.AdbDevice("PHONE-2", "unauthorized", None))
    finding, = (one for one in doctor.findings() if one.name == "a phone")
    assert not finding.ok and "accept the key" in finding.detail


def test_a_boards_toml_that_is_wrong_does_not_keep_the_rest_from_being_told(tmp_path, monkeypatch):
    (tmp_path / "boards.toml").write_text("[boards.x]\ntransport = 7\n")
    monkeypatch.setenv("EDGE_BOARDS", str(tmp_path / "boards.toml"))
    finding, = (one for one in doctor.findings() if one.name == "boards.toml")
    assert not finding.ok and str(tmp_path) in finding.detail


def test_without_adb_there_are_no_phones(plugged, monkeypatch):
    def missing():
        raise DeviceUnavailable("no adb")
    monkeypatch.setattr(adb, "devices", missing)
    assert routes_of("android_arm64") and not routes_of("mine")
