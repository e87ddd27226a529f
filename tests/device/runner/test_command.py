"""Command lines of the runner, of words that may be sent to a device."""

import pytest

from toolchain.device.runner.command import COMMON, KEYS, command, complaint
from toolchain.device.transports.transport import safe_words


def test_a_timed_run():
    words = command(["/d/edge-runner"], "litert", "time", "/d/model.tflite", input="/d/in", seconds=0.5,
                    least=3, threads=2, library=None, watch=["/sys/a", "/sys/b"], cpus=[0, 3])
    assert words == ["/d/edge-runner", "litert", "time", "/d/model.tflite", "input=/d/in", "seconds=0.500",
                     "least=3", "threads=2", "watch=/sys/a", "watch=/sys/b", "cpus=0,3"]
    assert safe_words(words) == words


def test_generated_c_has_its_model_linked_in():
    assert command(["r"], "c", "run", input="i", output="o") == ["r", "c", "run", "-", "input=i", "output=o"]


@pytest.mark.parametrize("mode", KEYS)
def test_keys_of_another_mode_are_a_mistake(mode):
    every = set().union(*KEYS.values())
    for key in sorted(every - KEYS[mode] - COMMON):
        with pytest.raises(TypeError, match=f"{mode} takes no {key}, but"):
            command(["r"], "litert", mode, "m", **{key: 1})


def test_only_a_timed_run_watches():
    with pytest.raises(TypeError, match="run watches nothing"):
        command(["r"], "litert", "run", "m", watch=["/sys/a"])


@pytest.mark.parametrize("stderr, said", [
    (b"INFO: x\nedge-runner: no memory\nlater\n", "no memory"), (b"Killed\n", "Killed"),
    (b"", "it said nothing"), (b"edge-runner: a\x1b[1m\xff\n", "a [1m\ufffd"),
    (b"edge-runner: " + b"x" * 999, "x" * 400)])
def test_a_complaint_is_one_printable_line(stderr, said):
    assert complaint(stderr) == said
