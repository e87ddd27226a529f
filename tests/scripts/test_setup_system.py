"""scripts/setup_system.sh on machines that lack something: its PATH holds stand-ins for the tools only."""

from pathlib import Path
import subprocess

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup_system.sh"
ARM = "gcc-arm-none-eabi libnewlib-arm-none-eabi"
RISCV = "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"
LINUX = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"
DEVICES = "qemu-utils openssh-client adb mksh toybox busybox"
ALL = (f"gcc libc6-dev {ARM} {RISCV} qemu-system-arm qemu-system-misc {LINUX} {DEVICES} clang cppcheck "
       f"python3-venv")
"""Without e2fsprogs, ser2net and Debian's keyring, which are looked for by their paths and are here."""
TOOLS = ("cc", "clang", "cppcheck", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "aarch64-linux-gnu-gcc",
         "arm-linux-gnueabihf-gcc", "qemu-system-arm", "qemu-system-riscv32", "qemu-img", "ssh-keygen", "adb",
         "mksh", "toybox", "busybox", "python3")


def run_with(tools: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    """The script's run where only these commands exist, each a shell script of one line."""
    for name, line in tools.items():
        tool = folder / name
        tool.write_text(f"#!/bin/sh\n{line}\n")
        tool.chmod(0o755)
    return subprocess.run(["/bin/sh", str(SCRIPT)], env={"PATH": str(folder)}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def test_nothing_to_do_is_silent(tmp_path):
    done = run_with(dict.fromkeys(TOOLS, "exit 0"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_root_it_prints_the_command_and_stops(tmp_path):
    done = run_with({"apt-get": "exit 9", "id": "echo 1000"}, tmp_path)
    assert done.returncode == 1
    assert f"apt-get update && apt-get install -y --no-install-recommends {ALL}\n" in done.stderr


def test_root_installs_what_is_missing_and_only_that(tmp_path):
    ran = tmp_path / "ran"
    absent = {"arm-none-eabi-gcc", "qemu-system-riscv32", "adb"}
    present = dict.fromkeys(set(TOOLS) - absent, "exit 0")
    as_root = {"apt-get": f'echo "$@" >> {ran}', "id": "echo 0", "env": 'shift; exec "$@"'}
    done = run_with(present | as_root, tmp_path)
    assert done.returncode == 0, done.stderr
    assert ran.read_text().splitlines() == [
        "update -q", f"install -y --no-install-recommends {ARM} qemu-system-misc adb"]


def test_elsewhere_than_debian_it_names_what_is_missing(tmp_path):
    done = run_with({"python3": "exit 0", "cc": "exit 0"}, tmp_path)
    assert done.returncode == 1
    rest = f"qemu-system-arm qemu-system-misc {LINUX} {DEVICES} clang cppcheck (Debian's names)"
    assert f"missing: {ARM} {RISCV} {rest}" in done.stderr


def test_a_compiler_without_its_c_library_lacks_something(tmp_path):
    """The one for RISC-V comes without."""
    alone = {"riscv64-unknown-elf-gcc": '[ "$1" != --specs=picolibc.specs ]'}
    done = run_with(dict.fromkeys(TOOLS, "exit 0") | alone, tmp_path)
    assert f"missing: {RISCV} (Debian's names)" in done.stderr
