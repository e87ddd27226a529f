"""Emulated devices: Debian for arm64 on QEMU, as a Raspberry Pi and as an Android phone stand in for."""
