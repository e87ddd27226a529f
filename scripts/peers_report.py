"""The tables of benchmark_peers.py, in Markdown, and the conditions under which their figures hold."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
import os
from pathlib import Path
import platform
import re
import subprocess

OURS = ("torch", "ai-edge-litert", "onnxruntime", "numpy")
THEIRS = ("torch", "ai-edge-litert", "litert-torch", "litert-quantizer")
ALLOWED = 1.05
"""Our file's time over theirs; two files of the same network differ by less in single processes."""
COMPARED = (("ours, min-max", "theirs, profiler mode"), ("ours, percentile", "theirs, default mode"))
SECONDS = {"convert": "convert", "quantize": "calibrate, quantize, write", "work": "all of it",
           "imports": "imports"}
BYTES = {"imported_bytes": "memory after imports", "peak_bytes": "peak memory"}


def processor() -> str:
    return re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))[1]


def conditions(peers_python: Path, packages: tuple[str, ...] = THEIRS) -> str:
    """When, on what, with which versions. packages: of the others' environment"""
    code = f"from importlib.metadata import version\nfor name in {packages}: print(name, version(name))"
    told = subprocess.run([peers_python, "-c", code], check=True, capture_output=True, text=True).stdout
    return f"{own_conditions()} Theirs: {', '.join(told.splitlines())}."


def own_conditions() -> str:
    """When, on what, with which versions of ours."""
    ours = ", ".join(f"{name} {version(name)}" for name in OURS)
    return (f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {processor()}, {os.cpu_count()} CPUs, load average "
            f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}. Ours: {ours}.")


def report(said: str, found: Mapping[str, Mapping]) -> str:
    """found: network -> "images", "rounds", "processes", "pairs", "cost", "fidelity", "speed"."""
    tables = [table for name, figures in found.items()
              for table in (cost_table(name, figures), fidelity_table(name, figures["fidelity"]))]
    timings = {name: figures["speed"] for name, figures in found.items()}
    return "\n\n".join([said, speed_table(timings), *tables]) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column to the left, figures to the right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def speed_table(timings: Mapping[str, Mapping[str, Mapping]]) -> str:
    """timings: network -> file -> what `benchmark_peers.speed` found."""
    rows = [[f"{network}, {what}",
             *(f"{cpu:.3f} / {wall:.3f}" for cpu, wall in (s["ours_ms"], s["theirs_ms"])),
             *(f"**{ratio:.3f}** ({lowest:.3f} to {highest:.3f})"
               for ratio, lowest, highest in zip(s["ratio"], s["lowest"], s["highest"]))]
            for network, files in timings.items() for what, s in files.items()]
    return table(["one inference, CPU / wall ms", "ours", "theirs", "ratio, CPU", "ratio, wall"], rows)


def slower(timings: Mapping[str, Mapping[str, Mapping]]) -> list[str]:
    """Our files that take more than ALLOWED times the CPU time of theirs."""
    return [f"{network}, {what}: {s['ratio'][0]:.3f} of their CPU time; {ALLOWED} is allowed"
            for network, files in timings.items() for what, s in files.items() if s["ratio"][0] > ALLOWED]


def cost_table(network: str, figures: Mapping) -> str:
    costs = figures["cost"]
    head = f"{network}, {figures['images']} images, median of {figures['rounds']}"
    rows = [[tool, *(f"{c[key]:.2f} s" for key in SECONDS), *(f"{c[key] / 1e6:.0f} MB" for key in BYTES)]
            for tool, c in costs.items()]
    rows += [[f"ratio, {ours} / {theirs}",
              *(f"**{costs[ours][key] / costs[theirs][key]:.2f}**" for key in (*SECONDS, *BYTES))]
             for ours, theirs in COMPARED]
    return table([head, *SECONDS.values(), *BYTES.values()], rows)


def fidelity_table(network: str, found: Mapping[str, Mapping[str, float]]) -> str:
    head = [f"{network}, beside our float file", "INT8: SQNR", "INT8: same first choice", "float: off by"]
    rows = [[tool, f"{f['sqnr_db']:.1f} dB", f"{f['agreement']:.1%}", f"{f['float_error']:.0e} of the range"]
            for tool, f in found.items()]
    return table(head, rows)
