"""The runners, as they are on a device: files in a folder, each run a process of its own."""

from pathlib import Path
import platform
import sys

import pytest

from tests.device.runner.running import Runner
from toolchain.device.runner.native import MACHINES, PYTHON_RUNNER, RUNNER, build_runner, python_runner
from toolchain.device.runner.wheels import runtime_library

HERE = MACHINES[platform.machine()]


@pytest.fixture(scope="session")
def libraries(tmp_path_factory) -> dict[str, Path]:
    """Runtime -> its library."""
    folder, found = tmp_path_factory.mktemp("libraries"), {}
    for runtime in ("litert", "onnxruntime"):
        name, data = runtime_library(runtime, HERE)
        found[runtime] = folder / name
        found[runtime].write_bytes(data)
    return found


@pytest.fixture(scope="session")
def executable(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runner") / RUNNER
    path.write_bytes(build_runner(HERE, "litert"))
    path.chmod(0o755)
    return path


@pytest.fixture
def native(executable, libraries, tmp_path) -> Runner:
    """The runner in C that loads a runtime's library."""
    return Runner([str(executable)], tmp_path, libraries)


@pytest.fixture
def python(tmp_path) -> Runner:
    """The runner in Python, with this environment's runtimes."""
    (tmp_path / PYTHON_RUNNER).write_bytes(python_runner())
    return Runner([sys.executable, str(tmp_path / PYTHON_RUNNER)], tmp_path)


@pytest.fixture(params=["native", "python"])
def runner(request) -> Runner:
    """Both, one after the other."""
    return request.getfixturevalue(request.param)
