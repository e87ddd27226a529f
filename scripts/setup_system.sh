#!/bin/sh
# Install the system packages that are missing: two C compilers for the host, those for Cortex-M, RISC-V, 64- and 32-bit
# Arm Linux with their C libraries, a checker of C, QEMU, what makes the emulated devices, ser2net, adb,
# shells and tools of small devices for tests, and Python's venv.
# Debian and Ubuntu, as root or with sudo; elsewhere it prints what is missing.
# usage: setup_system.sh [PYTHON]
set -eu
python="${1:-python3}"

compiles() {  # compiles COMPILER [OPTION]: it exists and finds a C library's headers
    printf '#include <stdio.h>\n#include <string.h>\n' | "$@" -x c -E - >/dev/null 2>&1
}

missing=""
compiles cc || missing="$missing gcc libc6-dev"
compiles arm-none-eabi-gcc || missing="$missing gcc-arm-none-eabi libnewlib-arm-none-eabi"
compiles riscv64-unknown-elf-gcc --specs=picolibc.specs ||
    missing="$missing gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"
command -v qemu-system-arm >/dev/null || missing="$missing qemu-system-arm"
command -v qemu-system-riscv32 >/dev/null || missing="$missing qemu-system-misc"
compiles aarch64-linux-gnu-gcc || missing="$missing gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
compiles arm-linux-gnueabihf-gcc || missing="$missing gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"
command -v qemu-img >/dev/null || missing="$missing qemu-utils"
[ -x /usr/sbin/debugfs ] || [ -x /sbin/debugfs ] || missing="$missing e2fsprogs"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
command -v ser2net >/dev/null || [ -x /usr/sbin/ser2net ] || missing="$missing ser2net"
command -v ssh-keygen >/dev/null || missing="$missing openssh-client"
command -v adb >/dev/null || missing="$missing adb"
for shell in mksh toybox busybox; do command -v "$shell" >/dev/null || missing="$missing $shell"; done
command -v clang >/dev/null || missing="$missing clang"
command -v cppcheck >/dev/null || missing="$missing cppcheck"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "setup: missing:$missing (Debian's names); install them with this system's package manager" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root="sudo"
else
    echo "setup: missing:$missing; run this as root, then try again:" >&2
    echo "    apt-get update && $install" >&2
    exit 1
fi
echo "setup: installing$missing" >&2
$as_root apt-get update -q >/dev/null
$as_root env DEBIAN_FRONTEND=noninteractive $install >/dev/null
