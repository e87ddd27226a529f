"""What the machine has: the compiled counter of calibration among it."""

from toolchain import doctor
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
