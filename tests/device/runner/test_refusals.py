"""Bad arguments, models, samples and libraries: an exit code, one line, nothing on standard output."""

from pathlib import Path
import resource
import subprocess
import sys

import numpy as np
import pytest

from tests.device.runner.conftest import HERE
from tests.device.runner.running import SUFFIX, Runner
from tests.lower.c.nets import residual_net
from tests.random_nets import random_net
from toolchain.device.runner.native import build_runner
from toolchain.lower.onnx import write_onnx
from toolchain.lower.tflite import write_tflite

pytestmark = pytest.mark.oracle
MODELS = {"litert": write_tflite(residual_net()), "onnxruntime": write_onnx(random_net(3))}
SAMPLE = bytes(192)


@pytest.fixture
def words(runner):
    """A command line that works, but for what a test puts at its end."""
    model, source = runner.file("model.tflite", MODELS["litert"]), runner.file("input", SAMPLE)
    library = [f"library={runner.libraries['litert']}"] if runner.libraries else []
    return ["litert", "time", model, f"input={source}", *library]


@pytest.mark.parametrize("word, said", [
    ("nonsense", "nonsense: not key=value"), ("seconds=", "seconds=: not key=value"),
    ("speed=3", "speed=3: unknown key"), ("threads=0", "threads=0: a number from 1 to 64 is asked for"),
    ("threads=65", "threads=65: a number from 1 to 64 is asked for"),
    ("most=-1", "most=-1: a number from 1 to 10000000000 is asked for"),
    ("most=99999999999999999999", "most=99999999999999999999: a number from 1 to 10000000000 is asked for"),
    ("first=2", "first=2: a number from 0 to 1 is asked for")])
def test_words(runner, words, word, said):
    assert runner.refusal(*words, word) == (2, said)


@pytest.mark.parametrize("word", ["seconds=1e3", "seconds=1.2345", "seconds=-1", "seconds=999999", "cpus=0,",
                                  "cpus=64", "cpus=a", "seconds=.", "watch_ms=0"])
def test_values_out_of_range(runner, words, word):
    code, said = runner.refusal(*words, word)
    assert code == 2 and word.split("=")[0] in said


def test_bounds_that_contradict(runner, words):
    assert runner.refusal(*words, "least=5", "most=4")[0] == 2
    assert runner.refusal(*words, *["watch=/dev/null"] * 17)[0] == 2


def test_a_processor_that_is_not_there(runner, words):
    assert runner.refusal(*words, "cpus=63")[0] == 2


@pytest.mark.parametrize("line", [[], ["clock", "2"], ["hash"], ["litert"], ["litert", "time"]])
def test_too_few_words(runner, line):
    code, said = runner.refusal(*line)
    assert code == 2 and said == "RUNTIME MODE MODEL key=value..., or clock, or hash FILE..."


def test_unknown_runtime_and_mode(runner, words):
    assert runner.refusal("tensorflow", *words[1:])[0] == 2
    assert runner.refusal(words[0], "fly", *words[2:]) == (2, "no mode fly")


@pytest.mark.parametrize("size", [0, 1, 191, 193, 1000])
def test_a_file_that_is_no_number_of_samples(runner, words, size):
    code, said = runner.refusal(*words, f"input={runner.file('odd', bytes(size))}")
    assert code == 2 and said.endswith(f"odd: {size} bytes, not a number of samples of 192 bytes each")


@pytest.mark.parametrize("path", ["missing", "/dev/zero", "/proc"])
def test_what_is_no_file(runner, words, path):
    code, said = runner.refusal(*words, f"input={path}")
    assert code == 2 and path in said


def test_an_output_that_cannot_be_written(runner, words):
    code, said = runner.refusal(*words, f"output={runner.folder}/missing/output")
    assert code == 2 and "missing/output" in said


def test_no_input(runner, words):
    assert runner.refusal(*words[:3], *words[4:]) == (2, "no input=FILE")


def test_hash_of_no_file(runner):
    assert runner.refusal("hash", "missing")[0] == 2


@pytest.mark.parametrize("runtime", MODELS)
def test_profile_of_onnx_runtime_needs_scratch(runner, runtime):
    """LiteRT has no profiler in Python: said so."""
    model, source = runner.file("model", MODELS[runtime]), runner.file("input", SAMPLE)
    needs = [f"library={runner.libraries[runtime]}"] if runner.libraries else []
    if runtime == "onnxruntime":
        assert "scratch=PATH" in runner.refusal(runtime, "profile", model, f"input={source}", *needs)[1]
    elif not runner.libraries:
        assert runner.refusal(runtime, "profile", model, f"input={source}") == (
            2, "ai-edge-litert has no profiler in Python; the native runner of litert has")


@pytest.mark.parametrize("runtime", MODELS)
def test_compare_needs_another(runner, runtime):
    model, source = runner.file("model", MODELS[runtime]), runner.file("input", SAMPLE)
    needs = [f"library={runner.libraries[runtime]}"] if runner.libraries else []
    assert runner.refusal(runtime, "compare", model, f"input={source}", *needs) == (
        2, "compare needs other=MODEL and other_input=FILE")


# --- models -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("runtime", MODELS)
@pytest.mark.parametrize("data", [b"", b"x", bytes(5000), b"TFL3" * 50])
def test_no_model(runner, runtime, data):
    done = runner.start(runtime, "run", data, input=runner.file("input", SAMPLE))
    assert done.returncode == 3 and done.stdout == b""


@pytest.mark.parametrize("runtime", MODELS)
def test_a_model_that_is_not_there(runner, runtime):
    done = runner.start(runtime, "run", "missing", input=runner.file("input", SAMPLE))
    assert done.returncode in (2, 3) and done.stdout == b""


@pytest.mark.parametrize("runtime", MODELS)
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_model_ends_the_process_and_nothing_else(native, runtime, seed):
    """Refused, run all the same where the damage is in a weight, or ended by a signal."""
    rng, model = np.random.default_rng(seed), bytearray(MODELS[runtime])
    for at in rng.integers(0, len(model), 6):
        model[at] = rng.integers(256)
    done = native.start(runtime, "run", bytes(model if seed % 2 else model[:int(rng.integers(len(model)))]),
                        input=native.file("input", SAMPLE))
    assert done.returncode in (0, 2, 3, 4) or done.returncode < 0
    assert done.returncode == 0 or done.stdout == b""


def test_no_memory_is_said(native):
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (40 * 2**20, 40 * 2**20))

    model, source = native.file("model", MODELS["litert"]), native.file("input", SAMPLE)
    done = subprocess.run([*native.program, "litert", "time", model, f"input={source}", "most=10000000",
                           f"library={native.libraries['litert']}"], preexec_fn=little, capture_output=True)
    assert done.returncode == 4 and done.stderr.splitlines()[-1] == (
        b"edge-runner: no memory for a log of 240000024 bytes; lower most=")


# --- libraries ----------------------------------------------------------------------------------------------

def test_litert_of_another_release_is_refused(native):
    library = bytearray(native.libraries["litert"].read_bytes())
    library[-1] ^= 1
    model, source = native.file("model", MODELS["litert"]), native.file("input", SAMPLE)
    code, said = native.refusal("litert", "run", model, f"input={source}",
                                f"library={native.file('libLiteRt.so', bytes(library))}")
    assert code == 5 and "is not the libLiteRt.so of ai-edge-litert 2.3.0 for this processor" in said


def test_a_library_of_the_users_own_is_taken_by_a_runner_built_for_it(native):
    """A byte behind its end makes it another file and no other library."""
    own = native.libraries["litert"].read_bytes() + b"x"
    runner = Path(native.file("own-runner", build_runner(HERE, "litert", library=own)))
    runner.chmod(0o755)
    built = Runner([str(runner)], native.folder, {"litert": native.file("libLiteRt.so", own)})
    source = native.file("input", SAMPLE)
    assert built.record("litert", "run", MODELS["litert"], input=source).inferences == 1
    done = built.start("litert", "run", MODELS["litert"], input=source, library=native.libraries["litert"])
    assert done.returncode == 5


@pytest.mark.parametrize("runtime", MODELS)
@pytest.mark.parametrize("library", [None, "./missing", "text"])
def test_no_library(native, runtime, library):
    path = native.file("text", b"no library") if library == "text" else library
    given = [] if path is None else [f"library={path}"]
    model, source = native.file(f"model{SUFFIX[runtime]}", MODELS[runtime]), native.file("input", SAMPLE)
    assert native.refusal(runtime, "run", model, f"input={source}", *given)[0] == 5


def test_a_library_that_is_another_is_refused(native):
    model, source = native.file("model", MODELS["onnxruntime"]), native.file("input", SAMPLE)
    code, said = native.refusal("onnxruntime", "run", model, f"input={source}",
                                f"library={native.libraries['litert']}")
    assert code == 5 and said.startswith("the library has no OrtGetApiBase; it is not the release")


def test_python_says_what_is_installed_instead(python):
    """tflite-runtime is not in this environment."""
    model, source = python.file("model", MODELS["litert"]), python.file("input", SAMPLE)
    code, said = python.refusal("tflite-runtime", "run", model, f"input={source}")
    assert code == 5 and said.startswith("no tflite-runtime here")
    assert "installed: ai-edge-litert 2.3.0, onnxruntime 1.31.1" in said


def test_nothing_beside_the_python_runner_is_imported(python):
    """A file of numpy's name in the folder of what was pushed is nothing to it."""
    python.file("numpy.py", b"raise SystemExit('imported')")
    isolated = type(python)([sys.executable, "-P", *python.program[1:]], python.folder)
    for runner in (python, isolated):
        source = runner.file("input", SAMPLE)
        assert runner.record("litert", "run", MODELS["litert"], input=source).inferences == 1
