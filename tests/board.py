"""A target of somebody's own, as a profile.toml."""

PROFILE = """
description = "a board"
family = "microcontroller"
formats = ["c"]
core = "cortex-m4"
isa = "armv7e-m"
flash_bytes = 1_000_000
ram_bytes = 200_000
clock_hz = 80_000_000
compiler = "arm-none-eabi-gcc"
"""
