"""In which ways a device runs files, and which of them are meant."""

import re

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.place import linux_ways
from toolchain.device.runner.native import PROCESSORS
from toolchain.device.transports.transport import NAME
from toolchain.device.ways import BARE, GLIBC, LINUX, NATIVE, PYTHON, Way, chosen
from toolchain.errors import Unsupported

ALL = (*LINUX, *BARE, Way("tflite", "litert", NATIVE, GLIBC, "never run on a phone"))


@given(st.sampled_from([None, "tflite", "onnx", "c"]), st.sampled_from([None, "litert", "onnxruntime", "c"]),
       st.sampled_from([None, NATIVE, PYTHON]))
def test_those_that_are_asked_for_in_their_order(fmt, runtime, runner):
    asked = (fmt, runtime, runner)
    meant = [way for way in ALL if all(want in (None, have) for want, have in
                                       zip(asked, (way.fmt, way.runtime, way.runner)))]
    if meant:
        assert chosen(ALL, *asked) == meant
    else:
        with pytest.raises(Unsupported):
            chosen(ALL, *asked)


@pytest.mark.parametrize("ways, asked, said", [
    (LINUX, ("tflite", "onnxruntime", None), "nothing there runs fmt tflite, runtime onnxruntime; there is: "
                                             "tflite in litert, native runner; tflite in litert, python"),
    (BARE, (None, None, PYTHON), "nothing there runs runner python; there is: c in c, firmware runner"),
    ((), (None, None, None), "nothing there runs this artefact; there is: nothing")])
def test_what_there_is_is_said(ways, asked, said):
    with pytest.raises(Unsupported, match=re.escape(said)):
        chosen(ways, *asked)


def test_a_processor_without_published_libraries_has_the_users_python_and_generated_c():
    assert [(way.runtime, way.runner) for way in linux_ways("armv7-a")] == [
        ("litert", PYTHON), ("tflite-runtime", PYTHON), ("onnxruntime", PYTHON), ("c", NATIVE)]
    assert {way.runner for way in linux_ways("riscv64")} == {PYTHON}
    assert all(linux_ways(isa) == LINUX for isa in ("aarch64", "x86_64")) and "armv7-a" in PROCESSORS


def test_a_note_makes_no_other_way_and_names_are_parts_of_files_names():
    assert Way("c", "c", NATIVE, note="x") == Way("c", "c", NATIVE)
    assert all(NAME.fullmatch(f"{way.runtime}.{way.runner}") for way in ALL)
    assert str(ALL[-1]) == "tflite in litert, native runner, pushed glibc"
