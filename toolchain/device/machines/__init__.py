"""Emulated devices: Debian for arm64 on QEMU, as a Raspberry Pi and as an Android phone stand in for.

`boot.py` starts one; `python -m toolchain.device.machines` makes what they start from, with `--update` of the
packages that Debian has today.
"""
