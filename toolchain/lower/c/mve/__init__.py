"""Kernels for the M-profile Vector Extension of Armv8.1-M (Helium): Cortex-M55, M85."""
