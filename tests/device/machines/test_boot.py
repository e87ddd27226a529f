"""The emulated devices, booted: who may come in, what the kernel tells, exact counts, faults, their end."""

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from toolchain.device.machines.boot import Machine, boot
from toolchain.device.machines.emulator import Options, starting
from toolchain.device.machines.image import Image, obtain_image
from toolchain.errors import DeviceLost, DeviceUnavailable

pytestmark = pytest.mark.emulated
SECONDS = 120
MODULES = ("numpy", "ai_edge_litert.interpreter", "tflite_runtime.interpreter", "onnxruntime")
Run = Callable[..., subprocess.CompletedProcess]


def ssh(machine: Machine, folder: Path) -> Run:
    """What runs a command there by OpenSSH's client, which knows only the pinned key of the host."""
    known = folder / "known_hosts"
    known.write_text(f"[{machine.host}]:{machine.port} {machine.host_key}\n")
    options = ["-F/dev/null", f"-oUserKnownHostsFile={known}", "-oGlobalKnownHostsFile=/dev/null",
               "-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes", "-oBatchMode=yes", "-oLogLevel=ERROR",
               f"-i{machine.identity}", f"-p{machine.port}", f"{machine.user}@{machine.host}"]

    def run(*words: str, data: bytes = b"", seconds: float = SECONDS) -> subprocess.CompletedProcess:
        return subprocess.run(["ssh", *options, *words], input=data, capture_output=True, timeout=seconds)

    return run


def adb(machine: Machine, folder: Path) -> Run:
    """What runs adb's client with a server of its own, connected to the machine."""
    port = 20000 + os.getpid() % 20000
    environment = {**os.environ, "HOME": str(folder), "ANDROID_ADB_SERVER_PORT": str(port)}
    serial = f"{machine.host}:{machine.port}"

    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["adb", "-s", serial, *words], env=environment, capture_output=True,
                              timeout=SECONDS)

    run("connect", serial)
    deadline = time.monotonic() + SECONDS
    while run("get-state").stdout.strip() != b"device" and time.monotonic() < deadline:
        time.sleep(0.1)
    return run


@pytest.fixture(scope="module")
def pi(tmp_path_factory) -> Iterator[Run]:
    with boot("pi-virt") as machine:
        yield ssh(machine, tmp_path_factory.mktemp("pi"))


@pytest.fixture(scope="module")
def android(tmp_path_factory) -> Iterator[Run]:
    with boot("android-virt") as machine:
        run = adb(machine, tmp_path_factory.mktemp("android"))
        yield run
        run("kill-server")


@pytest.fixture(scope="module")
def count_loop(tmp_path_factory) -> Path:
    program = tmp_path_factory.mktemp("count") / "count_loop"
    source = Path(__file__).with_name("count_loop.c")
    subprocess.run(["aarch64-linux-gnu-gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o",
                    str(program), str(source)], check=True)
    return program


def output(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_the_guest_has_a_kernel_of_its_own(pi):
    said = output(pi("uname -srm; grep MemTotal /proc/meminfo; cut -c1-5 /sys/devices/system/cpu/online"))
    kernel, memory, processors = said.splitlines()
    assert re.fullmatch(r"Linux 6\.1\.\d+-\d+-arm64 aarch64", kernel) and processors == "0"
    assert 950_000 < int(memory.split()[1]) < 1_048_576


def test_its_user_is_no_root_and_cannot_write_the_system(pi):
    assert output(pi("id -un")) == "pi\n"
    assert pi("touch /usr/bin/mine").returncode and not pi("touch ~/mine").returncode


def test_only_the_pinned_key_is_believed(tmp_path):
    with boot("pi-virt") as machine:
        stranger = tmp_path / "stranger"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
        other = (tmp_path / "stranger.pub").read_text().rsplit(" ", 1)[0]
        wrong_host = Machine(**{**vars(machine), "host_key": other})
        assert b"verification failed" in ssh(wrong_host, tmp_path)("true").stderr
        wrong_user = Machine(**{**vars(machine), "identity": stranger})
        assert b"Permission denied" in ssh(wrong_user, tmp_path)("true").stderr
        assert machine.identity.stat().st_mode & 0o077 == 0


def test_the_most_memory_of_a_process_is_the_guests(pi):
    code = "b = b'x' * (50 << 20); print(open('/proc/self/status').read())"
    said = output(pi("python3", "-", data=code.encode()))
    assert 50 << 10 < int(re.search(r"VmHWM:\s+(\d+) kB", said)[1]) < 80 << 10


@pytest.mark.parametrize("module", MODULES)
def test_the_runtimes_that_a_user_may_have_are_there(pi, module):
    code = f"import sys, {module} as m; print(m.__name__, 'site-packages' not in m.__file__)"
    assert output(pi("python3", "-", data=code.encode())) == f"{module} True\n"


def test_instructions_are_the_same_on_every_run_and_machine(pi, android, count_loop):
    pi("cat >count_loop; chmod +x count_loop", data=count_loop.read_bytes())
    runs = [output(pi("./count_loop")) for _ in range(3)]
    android("push", str(count_loop), "/data/local/tmp/count_loop")
    runs.append(output(android("shell", "chmod 755 /data/local/tmp/count_loop; /data/local/tmp/count_loop")))
    loop, again, fill, fill_again = map(int, runs[0].split())
    assert len(set(runs)) == 1 and loop == again and fill == fill_again
    assert 40_000_000 < loop < 40_000_500 and 2**24 / 64 < fill < 2**24 / 8


def test_nothing_lies_at_random(pi):
    code = "import ctypes, numpy; print(hash('text'), id(numpy), ctypes.addressof(ctypes.c_int(1)))"
    assert len({output(pi("python3", "-", data=code.encode())) for _ in range(2)}) == 1


def test_android_has_a_shell_and_toybox_and_no_more(android):
    for program in ("sha256sum", "bash", "python3", "ssh"):
        done = android("shell", program, "x")
        assert done.returncode == 127 and b"not found" in done.stderr, program
    missing = output(android("shell", "for c in $(ls /system/bin); do type $c >/dev/null || echo $c; done"))
    assert not missing
    assert output(android("shell", "ls -d /lib/ld-linux* 2>/dev/null || echo none")) == "none\n"
    assert output(android("shell", "echo text >/data/local/tmp/file && cat /data/local/tmp/file")) == "text\n"


def test_android_tells_what_it_is(android):
    asked = "getprop ro.product.cpu.abi; getprop ro.build.version.sdk; getprop no.such; getprop no.such else"
    assert output(android("shell", asked)).splitlines() == ["arm64-v8a", "35", "", "else"]
    assert "[ro.product.cpu.abi]: [arm64-v8a]" in output(android("shell", "getprop"))
    assert "MemTotal" in output(android("shell", "cat /proc/meminfo; ls /sys/class"))


def test_android_of_32_bits(tmp_path):
    source = "#include <stdio.h>\nint main(void) { printf(\"%zu\\n\", 8 * sizeof(void *)); return 7; }\n"
    subprocess.run(["arm-linux-gnueabihf-gcc", "-static", "-o", str(tmp_path / "pointer"), "-xc", "-"],
                   input=source, text=True, check=True)
    with boot("android-virt", Options(abis=("armeabi-v7a", "armeabi"), disk_kb=4096)) as machine:
        run = adb(machine, tmp_path)
        said = output(run("shell", "getprop ro.product.cpu.abi; getprop ro.product.cpu.abilist"))
        assert said.splitlines() == ["armeabi-v7a", "armeabi-v7a,armeabi"]
        run("push", str(tmp_path / "pointer"), "/data/local/tmp/pointer")
        done = run("shell", "chmod 755 /data/local/tmp/pointer; /data/local/tmp/pointer")
        assert (done.stdout, done.returncode) == (b"32\n", 7)
        full = run("shell", "dd if=/dev/zero of=/data/local/tmp/file bs=65536 count=100")
        assert full.returncode and b"No space left" in full.stderr
        run("kill-server")


def test_a_disk_that_is_nearly_full_and_little_memory(tmp_path):
    with boot("pi-virt", Options(memory_mb=192, disk_kb=64)) as machine:
        run = ssh(machine, tmp_path)
        full = run("cat >~/.edge/file", data=bytes(100_000))
        assert full.returncode and b"No space left" in full.stderr
        assert not run("cat >~/.edge/file", data=bytes(20_000)).returncode
        eaten = run("python3", "-", data=b"b = b'x' * (400 << 20)")
        assert eaten.returncode
        assert int(output(run("grep MemTotal /proc/meminfo")).split()[1]) < 192 << 10


def test_what_one_writes_the_next_does_not_find(pi, tmp_path):
    output(pi("echo mine >trace; sync"))
    with boot("pi-virt") as machine:
        assert ssh(machine, tmp_path)("cat trace").returncode


def test_a_pulled_cable_and_a_hang_are_felt_and_pass(tmp_path):
    with boot("pi-virt") as machine:
        run = ssh(machine, tmp_path)
        ask = machine.monitor.ask
        for fault, repair in ((lambda: ask("set_link", name="net", up=False),
                               lambda: ask("set_link", name="net", up=True)),
                              (lambda: ask("stop"), lambda: ask("cont"))):
            assert output(run("echo here")) == "here\n"
            fault()
            with pytest.raises(subprocess.TimeoutExpired):
                run("true", seconds=3)
            repair()
        assert output(run("echo here")) == "here\n"


def test_a_kernel_that_cannot_start_says_its_last_words(tmp_path):
    image = obtain_image()
    shutil.copy(image.path("kernel"), tmp_path / "kernel")
    (tmp_path / "initramfs").write_bytes(b"no archive")
    broken = Image(tmp_path, image.contents)
    with pytest.raises(DeviceUnavailable, match="pi-virt: QEMU ended with code 0; last words: Kernel panic"):
        with starting("pi-virt", broken, Options(), image.path("disk.ext4")):
            pass


def test_a_state_that_is_damaged_is_named_with_its_remedy(tmp_path):
    image = obtain_image()
    (tmp_path / "memory").write_bytes(b"no state")
    with pytest.raises(DeviceUnavailable, match=f"migration.*. Remove {tmp_path}, from which"):
        disk, memory = image.path("disk.ext4"), tmp_path / "memory"
        with starting("pi-virt", image, Options(), disk, memory=memory):
            pass


def test_what_goes_wrong_in_the_block_stays_what_it_is():
    with pytest.raises(DeviceLost, match="^the cable$"), boot("pi-virt"):
        raise DeviceLost("the cable")


def children(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def test_it_ends_with_us_even_where_we_are_killed():
    code = ("import time; from toolchain.device.machines.boot import boot\n"
            "with boot('pi-virt'): print('booted', flush=True); time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout.readline() == "booted\n"
        emulators = children(user.pid)
        assert emulators
        os.kill(user.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in emulators) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in emulators if Path(f"/proc/{pid}").exists()]
