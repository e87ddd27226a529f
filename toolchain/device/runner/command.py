"""Command lines of the runner, in C or in Python, and what it says where it gives up."""

from collections.abc import Sequence

KEYS = {
    "run": {"output"},
    "time": {"output", "seconds", "least", "most", "every", "counted", "watch_ms"},
    "profile": {"seconds", "least", "most", "scratch"},
    "compare": {"other", "other_input", "pairs", "block_us", "first"},
}
"""Mode -> keys beside those that all take."""
COMMON = {"input", "library", "threads"}


def command(program: Sequence[str], runtime: str, mode: str, model: str = "-", *, watch: Sequence[str] = (),
            cpus: Sequence[int] = (), **keys: str | int | float | None) -> list[str]:
    """argv of one process.

    program: [".../edge-runner"], or ["python3", ".../edge_runner.pyz"]
    runtime: "litert", "onnxruntime", "c" (whose model is linked in), or "tflite-runtime" in Python
    watch:   files on the device to read while inferences run; of mode "time"
    keys:    of KEYS and COMMON; None is left out. Raises TypeError for others.
    """
    allowed = KEYS[mode] | COMMON
    if unknown := keys.keys() - allowed:
        raise TypeError(f"{mode} takes no {', '.join(sorted(unknown))}, but {', '.join(sorted(allowed))}")
    if watch and mode != "time":
        raise TypeError(f"{mode} watches nothing")
    words = [f"{key}={_text(value)}" for key, value in keys.items() if value is not None]
    words += [f"watch={path}" for path in watch]
    words += [f"cpus={','.join(map(str, cpus))}"] if cpus else []
    return [*program, runtime, mode, model, *words]


def _text(value: str | int | float) -> str:
    """Of seconds, three digits behind the point."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def complaint(stderr: bytes) -> str:
    """The runner's own last line on standard error, which a runtime may have written to as well."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    said = [line.removeprefix("edge-runner: ") for line in lines if line.startswith("edge-runner: ")]
    last = (said or lines or ["it said nothing"])[-1]
    return "".join(character if character.isprintable() else " " for character in last)[:400]
