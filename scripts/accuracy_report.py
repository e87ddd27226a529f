"""The figures of benchmark_accuracy.py, and its page in Markdown."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from peers_report import table

from toolchain.metric import METRIC
from toolchain.paired import mcnemar, significantly_worse, sqnr_db

OURS = "ours, "
MEASURED = "Measured "
"""Begins what is measured: what stands above it in the page is written by hand."""
DECIDED_DB = 0.005
"""Two means that differ by less are printed alike."""


@dataclass(frozen=True)
class Row:
    """A tool's INT8 file on the test samples; each figure with its standard error.

    top1, agreement: percent, of the labels and of the float file's first choices
    sqnr_db:         mean over samples of their logits' signal to noise
    hits:            (N,) which labels it tells
    """

    top1: tuple[float, float]
    agreement: tuple[float, float]
    sqnr_db: tuple[float, float]
    hits: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Judgement:
    """A network; rows: tool -> figures, the float file's under "float";  failed: tool -> why"""

    title: str
    calibration: int
    n: int
    rows: Mapping[str, Row]
    failed: Mapping[str, str]

    def figures(self) -> dict:
        """What JSON can hold."""
        rows = {name: {key: value for key, value in asdict(row).items() if key != "hits"}
                for name, row in self.rows.items()}
        return {"title": self.title, "calibration": self.calibration, "n": self.n, "rows": rows,
                "failed": dict(self.failed)}

    @property
    def peers(self) -> list[str]:
        return [name for name in self.rows if name != "float" and not name.startswith(OURS)]


def judged(title: str, calibration: int, exact: np.ndarray, labels: np.ndarray,
           found: Mapping[str, np.ndarray | str]) -> Judgement:
    """exact: the float file's logits (N, classes);  found: tool -> its logits, or why it has none"""
    failed = {name: why for name, why in found.items() if isinstance(why, str)}
    answers = {"float": exact, **{name: what for name, what in found.items() if name not in failed}}
    rows = {name: row(exact, answer, labels) for name, answer in answers.items()}
    return Judgement(title, calibration, len(labels), rows, failed)


def row(exact: np.ndarray, answer: np.ndarray, labels: np.ndarray) -> Row:
    hits = METRIC["top1"].per_sample(answer, labels)
    same = METRIC["agreement"].per_sample(answer, exact)
    return Row(_mean(100 * hits), _mean(100 * same), _mean(sqnr_db(exact, answer)), hits)


def _mean(values: np.ndarray) -> tuple[float, float]:
    """With its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


# Judgement --------------------------------------------------------------------------------------------------

def shortcomings(network: Judgement, best: str) -> list[str]:
    """Where our file by recipe `best` does not hold its own; none is good."""
    name = OURS + best
    if name not in network.rows:
        return [f"{network.title}: {name} failed: {network.failed.get(name)}"]
    mine, lines = network.rows[name], []
    for peer in network.peers:
        theirs = network.rows[peer]
        if significantly_worse(mine.hits, theirs.hits):
            p = mcnemar(mine.hits, theirs.hits).p
            lines.append(f"{network.title}: top-1 {mine.top1[0]:.2f} %, {peer} {theirs.top1[0]:.2f} %, "
                         f"p = {p:.3f}")
        if mine.sqnr_db[0] < theirs.sqnr_db[0] - DECIDED_DB:
            lines.append(f"{network.title}: SQNR {mine.sqnr_db[0]:.2f} dB, {peer} {theirs.sqnr_db[0]:.2f} dB")
    return lines


# Page -------------------------------------------------------------------------------------------------------

COLUMNS = ("top-1, %", "agrees with float, %", "SQNR, dB", "McNemar p")


def network_table(network: Judgement, best: str) -> str:
    """p: of our best recipe's top-1 beside that row's."""
    mine = network.rows.get(OURS + best)
    rows = [[_named(name, best), _with_error(r.top1), *_beside_float(name, r), _p(mine, r)]
            for name, r in network.rows.items()]
    return table([f"{network.title}, n = {network.n}", *COLUMNS], rows)


def _named(name: str, best: str) -> str:
    return f"**{name}**" if name == OURS + best else name


def _with_error(figure: tuple[float, float]) -> str:
    return f"{figure[0]:.2f} ± {figure[1]:.2f}"


def _beside_float(name: str, r: Row) -> tuple[str, str]:
    return ("", "") if name == "float" else (_with_error(r.agreement), _with_error(r.sqnr_db))


def _p(mine: Row | None, r: Row) -> str:
    if mine is None or r is mine:
        return ""
    return f"{mcnemar(mine.hits, r.hits).p:.2f}"


def summary_table(found: Mapping[str, Judgement], best: str) -> str:
    """Our best recipe beside the best peer by SQNR, and by top-1."""
    rows = []
    for network in found.values():
        if (mine := network.rows.get(OURS + best)) and network.peers:
            closest = max(network.peers, key=lambda name: network.rows[name].sqnr_db[0])
            theirs = network.rows[closest].sqnr_db[0]
            most = max(network.peers, key=lambda name: network.rows[name].top1[0])
            rows.append([network.title, f"{mine.sqnr_db[0]:.2f}", f"{theirs:.2f} ({closest})",
                         f"**{mine.sqnr_db[0] - theirs:+.2f}**", f"{mine.top1[0]:.2f}",
                         f"{network.rows[most].top1[0]:.2f} ({most})", _p(mine, network.rows[most])])
    return table(["network", "our SQNR, dB", "best peer's", "difference", "our top-1, %", "best peer's",
                  "McNemar p"], rows)


def failures(found: Mapping[str, Judgement]) -> str:
    lines = [f"- {network.title}, {who}: `{why}`" for network in found.values()
             for who, why in network.failed.items()]
    return "\n".join(["What failed:", "", *(lines or ["- nothing"])])


def page(said: str, found: Mapping[str, Judgement], best: str) -> str:
    """The measured part of docs/calibration-accuracy.md."""
    tables = [network_table(network, best) for network in found.values()]
    return "\n\n".join([MEASURED + said, summary_table(found, best), *tables, failures(found)]) + "\n"
