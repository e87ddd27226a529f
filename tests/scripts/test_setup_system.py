"""scripts/setup_system.sh on machines that lack something: its PATH holds stand-ins for the tools only."""

from pathlib import Path
import subprocess

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup_system.sh"
ALL = "gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm python3-venv"


def run_with(tools: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    """The script's run where only these commands exist, each a shell script of one line."""
    for name, line in tools.items():
        tool = folder / name
        tool.write_text(f"#!/bin/sh\n{line}\n")
        tool.chmod(0o755)
    return subprocess.run(["/bin/sh", str(SCRIPT)], env={"PATH": str(folder)}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def test_nothing_to_do_is_silent(tmp_path):
    present = dict.fromkeys(["cc", "arm-none-eabi-gcc", "qemu-system-arm", "python3"], "exit 0")
    done = run_with(present, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_root_it_prints_the_command_and_stops(tmp_path):
    done = run_with({"apt-get": "exit 9", "id": "echo 1000"}, tmp_path)
    assert done.returncode == 1
    assert f"apt-get update && apt-get install -y --no-install-recommends {ALL}\n" in done.stderr


def test_root_installs_what_is_missing_and_only_that(tmp_path):
    ran = tmp_path / "ran"
    present = dict.fromkeys(["cc", "python3", "qemu-system-arm"], "exit 0")
    as_root = {"apt-get": f'echo "$@" >> {ran}', "id": "echo 0", "env": 'shift; exec "$@"'}
    done = run_with(present | as_root, tmp_path)
    assert done.returncode == 0, done.stderr
    assert ran.read_text().splitlines() == [
        "update -q", "install -y --no-install-recommends gcc-arm-none-eabi libnewlib-arm-none-eabi"]


def test_elsewhere_than_debian_it_names_what_is_missing(tmp_path):
    done = run_with({"python3": "exit 0", "cc": "exit 0"}, tmp_path)
    assert done.returncode == 1
    assert "missing: gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm" in done.stderr
