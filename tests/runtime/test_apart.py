"""A child that computes for us: its arrays, its errors and its crashes."""

import os
import signal

import numpy as np
import pytest

from toolchain.errors import BadModel, BadSamples
from toolchain.runtime.apart import apart


def test_arrays_come_back_as_they_were():
    made = {"a/b:0": np.arange(6, dtype=np.int8).reshape(2, 3), "empty": np.zeros((0, 4), bool),
            "scalar": np.float32(2.5)}
    found = apart(lambda: made, "it")
    assert list(found) == list(made)
    for name, array in made.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_more_than_a_pipe_holds_comes_back():
    assert apart(lambda: {"x": np.ones(1 << 20)}, "it")["x"].sum() == 1 << 20


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_one_error(number):
    with pytest.raises(BadModel, match=f"LiteRT crashes on it \\({number.name}\\)"):
        apart(lambda: os.kill(os.getpid(), number), "LiteRT")


def test_the_users_errors_pass_and_others_say_what_they_were():
    def wrong(error):
        raise error

    with pytest.raises(BadSamples, match="^three samples$"):
        apart(lambda: wrong(BadSamples("three samples")), "it")
    with pytest.raises(BadModel, match="RuntimeError: no such kernel"):
        apart(lambda: wrong(RuntimeError("no such kernel")), "it")
