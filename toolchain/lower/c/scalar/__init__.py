"""Kernels for cores with neither DSP nor vector instructions: Cortex-M0, M0+, M3, RV32IM."""
