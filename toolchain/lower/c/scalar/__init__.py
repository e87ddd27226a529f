"""Kernels for cores that multiply one pair at a time: Cortex-M0+, M3, RISC-V."""
