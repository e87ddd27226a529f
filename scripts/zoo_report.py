"""The tables of benchmark_zoo.py, in Markdown."""

from collections.abc import Mapping

from peers_report import ALLOWED, table

SQNR_ALLOWED_DB = 1.0
"""How far below theirs our SQNR may lie."""
TIMED = ("float32 .tflite", "int8 .tflite", "int8 .onnx")
NOTHING = "-"


def report(said: str, found: Mapping[str, Mapping]) -> str:
    """found: network -> "title", "ours" and "theirs" (what conversion cost), "sqnr_db", "speed", "failed"."""
    tables = speed_table(found), sqnr_table(found), cost_table(found), failures(found)
    return "\n\n".join([said, *tables]) + "\n"


def speed_table(found: Mapping[str, Mapping]) -> str:
    """Ours / theirs in CPU ms, and the ratio of neighbouring blocks."""
    rows = [[figures["title"], *(_timing(figures["speed"].get(what)) for what in TIMED)]
            for figures in found.values() if "speed" in figures]
    return table(["one inference, ours / theirs, CPU ms", *TIMED], rows)


def _timing(speed: Mapping | None) -> str:
    if speed is None:
        return NOTHING
    return f"{speed['ours_ms'][0]:.3f} / {speed['theirs_ms'][0]:.3f} **{speed['ratio'][0]:.3f}**"


def sqnr_table(found: Mapping[str, Mapping]) -> str:
    columns = ("ours .tflite", "theirs .tflite", "ours .onnx", "theirs .onnx")
    rows = [[figures["title"], *(f"{figures['sqnr_db'][c]:.1f}" if c in figures["sqnr_db"] else NOTHING
                                 for c in columns)] for figures in found.values() if "sqnr_db" in figures]
    return table(["INT8 SQNR, dB", *columns], rows)


def cost_table(found: Mapping[str, Mapping]) -> str:
    """CPU seconds of load, calibration and quantization, without imports; memory at its peak."""
    rows = []
    for figures in found.values():
        if figures.get("ours") and figures.get("theirs"):
            ours, theirs = (_work(figures[tool]) for tool in ("ours", "theirs"))
            mine, others = (figures[tool]["peak_bytes"] / 1e6 for tool in ("ours", "theirs"))
            rows.append([figures["title"], f"{ours:.2f}", f"{theirs:.2f}", f"**{ours / theirs:.2f}**",
                         f"{mine:.0f}", f"{others:.0f}"])
    return table(["conversion to INT8", "ours, CPU s", "theirs, CPU s", "ratio", "ours, peak MB",
                  "theirs, peak MB"], rows)


def _work(record: Mapping) -> float:
    return sum(seconds for stage, seconds in record["cpu_s"].items() if stage != "imports")


def failures(found: Mapping[str, Mapping]) -> str:
    lines = [f"- {figures['title']}, {who}: `{why}`" for figures in found.values()
             for who, why in figures["failed"].items()]
    return "\n".join(["What failed:", "", *(lines or ["- nothing"])])


def worse(found: Mapping[str, Mapping]) -> list[str]:
    """Our files that are slower or noisier than is allowed."""
    lines = [f"{name}, {what}: {speed['ratio'][0]:.3f} of their CPU time; {ALLOWED} is allowed"
             for name, figures in found.items() for what, speed in figures.get("speed", {}).items()
             if speed["ratio"][0] > ALLOWED]
    for name, figures in found.items():
        sqnr = figures.get("sqnr_db", {})
        lines += [f"{name}, {fmt}: SQNR {sqnr[f'ours {fmt}']:.1f} dB, theirs {sqnr[f'theirs {fmt}']:.1f} dB"
                  for fmt in (".tflite", ".onnx") if f"theirs {fmt}" in sqnr
                  and sqnr[f"ours {fmt}"] < sqnr[f"theirs {fmt}"] - SQNR_ALLOWED_DB]
    return lines
