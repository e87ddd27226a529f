from pathlib import Path
import signal
import subprocess
import sys

import pytest

from tests.device.transports.metering import read_beside_a_program
from tests.device.transports.places import SMALL, gone, tools_of
from toolchain.device.transports.local import open_local
from toolchain.device.transports.transport import Finished
from toolchain.errors import BadInput, BadReply, DeviceTimeout


@pytest.fixture
def device(tmp_path):
    with open_local(tmp_path / "edge", "here") as device:
        yield device


def test_what_a_program_writes_and_its_exit_code(device):
    path = device.push({"p": b"#!/bin/sh\necho out; echo err >&2; exit 7\n"}, executable=["p"])["p"]
    done = device.start([path], seconds=5)
    assert (done.code, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_a_program_ended_by_a_signal(device):
    path = device.push({"p": b"#!/bin/sh\nkill -s SEGV $$\n"}, executable=["p"])["p"]
    assert device.start([path], seconds=5).code == 128 + signal.SIGSEGV


def test_a_programs_input_is_empty(device):
    assert device.start(["cat"], seconds=5) == Finished(0, b"", b"")


@pytest.mark.parametrize("word", ["", "a b", "$HOME", "`id`", "a;b", "a\nb", "'", '"', "*", "~", "\\", "\0"])
def test_an_unsafe_argument_is_refused(device, word):
    with pytest.raises(BadInput, match="is not sent to a device"):
        device.start(["echo", word], seconds=1)


@pytest.mark.parametrize("without", [(), ("setsid",)], ids=["setsid", "no setsid"])
@pytest.mark.parametrize("kind", SMALL)
def test_a_program_that_hangs_is_ended_with_what_it_started(device, kind, without, tmp_path, monkeypatch):
    words = f"sleep {4000 + list(SMALL).index(kind) + 100 * len(without)}"
    program = f"#!/bin/sh\n{words} &\n{words}\n".encode()
    path = device.push({"p": program}, executable=["p"])["p"]
    monkeypatch.setenv("PATH", str(tools_of(tmp_path / "bin", kind, without)))
    with pytest.raises(DeviceTimeout, match="here: still running after 0.4 s; it was ended"):
        device.start([path], seconds=0.4)
    assert gone(words)


@pytest.mark.parametrize("kind", SMALL)
def test_a_program_that_ends_leaves_no_watcher(device, kind, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tools_of(tmp_path / "bin", kind)))
    for _ in range(5):
        assert device.start(["wc", "-c"], seconds=5317).code == 0
    assert gone("sleep 5327")


def test_too_much_output_ends_the_program(device):
    path = device.push({"p": b"#!/bin/sh\nyes 4711-forever\n"}, executable=["p"])["p"]
    with pytest.raises(BadReply, match="here: more than 100,000 bytes came; it was ended"):
        device.start([path], seconds=20, most_bytes=100_000)
    assert gone("4711-forever")


def test_stderr_counts_too(device):
    path = device.push({"p": b"#!/bin/sh\nyes 4712-forever >&2\n"}, executable=["p"])["p"]
    with pytest.raises(BadReply, match="more than 1,000 bytes came"):
        device.start([path], seconds=20, most_bytes=1000)


def test_no_such_program(device):
    done = device.start(["/nowhere/program"], seconds=5)
    assert done.code in (126, 127) and b"nowhere" in done.stderr


def killed(source: str, place: Path) -> None:
    """Run Python that kills itself with SIGKILL."""
    code = (f"import os, signal\nfrom pathlib import Path\n"
            f"from toolchain.device.transports.local import LocalWire, open_local\n"
            f"place = Path({str(place)!r})\n{source}")
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert child.returncode == -signal.SIGKILL, child.stderr


CONTENT = b"0123456789abcdef" * 400_000


def test_a_push_goes_on_after_kill_9(tmp_path):
    killed("""
run, pieces = LocalWire.run, []
def fatal(self, argv, *, stdin=None, **how):
    done = run(self, argv, stdin=stdin, **how)
    pieces.append(stdin) if stdin else None
    if len(pieces) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
LocalWire.run = fatal
with open_local(place / "edge") as device:
    device.push({"a": b"0123456789abcdef" * 400_000})
""", tmp_path)
    with open_local(tmp_path / "edge") as device:
        path = device.push({"a": CONTENT})["a"]
        assert Path(path).read_bytes() == CONTENT
        assert device.sent_bytes == len(CONTENT) - 2 * 2 * 2**20


def test_a_program_ends_with_the_host_that_started_it(tmp_path):
    killed("""
import threading
with open_local(place / "edge") as device:
    path = device.push({"p": b"#!/bin/sh\\nsleep 6789\\n"}, executable=["p"])["p"]
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
    device.start([path], seconds=60)
""", tmp_path)
    assert gone("sleep 6789")


def test_the_folder_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CACHE", str(tmp_path / "cache"))
    with open_local() as device:
        assert device.folder == f"{tmp_path}/cache/local"
        device.remove()
    assert not (tmp_path / "cache/local").exists()


def test_two_processes_that_push_the_same_at_once(tmp_path):
    code = (f"from pathlib import Path\n"
            f"from toolchain.device.transports.local import open_local\n"
            f"with open_local(Path({str(tmp_path / 'edge')!r})) as device:\n"
            f"    for i in range(4):\n"
            f"        device.push({{'a': bytes([i]) * 5_000_000}})\n")
    children = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(child.communicate(timeout=60)[1], child.returncode) for child in children] == [(b"", 0)] * 2
    assert len(list((tmp_path / "edge/files").iterdir())) == 4


def test_a_meter_is_read_while_a_program_runs(device, tmp_path):
    read_beside_a_program(device, tmp_path)
