"""Calls of the kernels in portable C99, which every machine has: one for each kind of op, or some."""
