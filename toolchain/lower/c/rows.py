"""Elementwise calls as rows of neighbours, for kernels that do not walk over broadcast operands at large."""

from collections.abc import Mapping


def rows_of(params: Mapping) -> dict[str, int] | None:
    """rows, size, a_step and b_step of a walk over tk_binary_s8_params, or None where it is no such walk."""
    *outer, rows, size = params["shape"]
    steps = {name: params[f"{name}_stride"] for name in "ab"}
    if any(n > 1 for n in outer) or size > 1 and any(step[3] != 1 for step in steps.values()):
        return None
    return {"rows": rows, "size": size, **{f"{name}_step": step[2] for name, step in steps.items()}}
