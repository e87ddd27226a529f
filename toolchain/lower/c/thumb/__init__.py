"""Kernels for Armv6-M alone, which come before the scalar ones: Cortex-M0 and M0+."""
