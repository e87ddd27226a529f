"""The page of compare_conditional.py, in Markdown, of its figures alone."""

from collections.abc import Iterable, Mapping, Sequence

from conditional_figures import INT8, Bits, Gates, OfSubject, Weighed, Widths
from figures import Conditions, Figure
import numpy as np
from peers_report import table
from pruning_figures import BOARD

from toolchain.paired import bootstrap

HEAD = f"""# Switchable widths, switchable bits and gates beside pruning and cascades

Made by `make benchmark-conditional`; `QUICK=1` takes a minute and needs no kit, the keywords need it. What
follows from it is [decision 0018](decisions/0018-widths-bits-gates.md).

For each seed a network is trained from scratch, then what is made of it, for as many epochs as the tables
say (whole + made of it), on the same augmented batches, taught by the whole one for half of the loss. What is
not ours is plain PyTorch (`scripts/conditional_networks.py`). Accuracy is top-1 on test samples of people
whom training did not see, INT8 answered in the fastest runtime of this host. Intervals are the 95 % bootstrap
of differences paired by sample, each sample's a mean over the seeds: they tell what other samples would
change, not what other seeds would. Instructions are those of an inference of generated C on {BOARD}
(QEMU), by kernels chosen for speed: exact; an emulated board has no milliseconds and no energy. Constants are
weights and tables in flash, without code."""
SIDE_BY_SIDE: Mapping[str, Sequence[str]] = {
    "1": ("whole",), "0.5": ("pruned 0.5", "alone 0.5"), "0.25": ("pruned 0.25", "alone 0.25")}
"""Slice -> networks of at most its instructions."""
WIDTHS_HEAD = """## Widths

One set of weights in three widths (Yu et al. 2019), by the sandwich rule and taught in place (Yu & Huang
2019), with a batch norm for each, trained anew for all the epochs. Beside it networks with weights of their
own: the whole one, after the first of the epochs; that pruned (`[prune] instructions`, in one shot) to at
most the instructions of each slice; and "alone" one of the slice's shape, trained anew for all the epochs,
taught by the whole one. One set of weights takes at least the constants of its widest slice."""
BITS_HEAD = """## Bits

The INT8 network, and the same with the top 4 bits of its weights: 16 * round(code / 16). Rescaled: with a
scale of its own for each channel in that mode. Beside them weights quantized to 4 bits at once
(`static_wi4_ai8`). All by the default recipe; biases of the top bits are those of int8."""
WEIGHED_HEAD = """Instructions of an inference of one network with weights of 8 bits and of 4. The 4-bit
kernels are portable C on every core; those of 8 bits are the core's own, where there are some."""
GATES_HEAD = """## Gates

Channels chosen for each input (Gao et al. 2019): behind each layer a share of them stays, the most salient,
as a predictor says from the means of its inputs; begun with the whole network and tuned, in float. The
instructions are a lower bound: of a plain network with as many channels in each layer, and of the predictors.
Neither finding the largest nor gathering the weights that go with them is in it. Beside it, of about as
many instructions: the whole network pruned, and a cascade of a smaller pruned one and the whole one, whose
threshold keeps to them on selection samples. MACs are those that are left if all that is skipped were free.
Pruned networks are held against gates in float, cascades as INT8 against gates in float."""


def page(figures: Iterable[Figure]) -> str:
    found = [*figures]
    said = next(figure.said for figure in found if isinstance(figure, Conditions))
    hours = sum(figure.seconds for figure in found) / 3600
    parts = [HEAD, f"Measured {said} {hours:.1f} hours of one core."]
    widths, bits, gates = (_by_network(found, kind) for kind in (Widths, Bits, Gates))
    parts += [WIDTHS_HEAD, *(widths_table(*each) for each in widths.items())]
    parts += [BITS_HEAD, *(bits_table(*each) for each in bits.items())]
    parts += [WEIGHED_HEAD, weighed_table([each for each in found if isinstance(each, Weighed)])]
    parts += [GATES_HEAD, *(gates_table(*each, widths[each[0]]) for each in gates.items())]
    return "\n\n".join(parts) + "\n"


def _by_network(found: Sequence[Figure], kind: type[OfSubject]) -> Mapping[str, list]:
    """Network -> its figures, one a seed."""
    made: dict[str, list] = {}
    for figure in found:
        if isinstance(figure, kind):
            made.setdefault(figure.subject.network, []).append(figure)
    return made


def _told(network: str, found: Sequence[OfSubject]) -> str:
    of = found[0].subject
    return (f"{network}, {of.epochs[0]} + {of.epochs[1]} epochs, n = {found[0].n} x {len(found)} "
            f"{'seed' if len(found) == 1 else 'seeds'}")


def _accuracy(found: Sequence[OfSubject], way: str, coded: bool = True) -> str:
    """Mean over the seeds, and each."""
    each = [100 * figure.right(way, coded).mean() for figure in found]
    return f"{np.mean(each):.2f} ({', '.join(f'{one:.1f}' for one in each)})"


def difference(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> str:
    """By how many points the first are right more often than the second, paired; hits (n,) of each seed."""
    gain = bootstrap(100.0 * np.mean(np.stack(first).astype(float) - np.stack(second), axis=0))
    return f"{gain.mean:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"


def _mean(found: Sequence[OfSubject], way: str, what: str) -> float:
    return float(np.mean([getattr(figure.answers[way], what) for figure in found]))


def widths_table(network: str, found: Sequence[Widths]) -> str:
    rows = []
    for width, ours in SIDE_BY_SIDE.items():
        slim = f"slice {width}"
        shared = [figure.right(slim) for figure in found]
        for way in (slim, *ours):
            gain = "" if way == slim else difference([figure.right(way) for figure in found], shared)
            rows.append([way, *(f"{_mean(found, way, what):,.0f}" for what in ("instructions", "constants")),
                         _accuracy(found, way), gain])
    slim, *each = (_mean(found, way, "constants")
                   for way in ("slice 1", "whole", "pruned 0.5", "pruned 0.25"))
    said = (f"Constants: {slim:,.0f} bytes at least as one set of weights; side by side {sum(each):,.0f}, of "
            f"which {sum(each[1:]):,.0f} are of the two smaller networks.")
    return table([_told(network, found), "instructions", "constants, B", "INT8 top-1, %",
                  "better than the slice by"], rows) + f"\n\n{said}"


def bits_table(network: str, found: Sequence[Bits]) -> str:
    fine = [figure.right(INT8) for figure in found]
    rows = [[way, _accuracy(found, way), "" if way == INT8 else
             difference([figure.right(way) for figure in found], fine)] for way in found[0].answers]
    return table([_told(network, found), "top-1, %", "better than int8 by"], rows)


def weighed_table(found: Sequence[Weighed]) -> str:
    rows = [[f"{each.network}, {board}", f"{eight:,}", f"{four:,}", f"{four / eight:.2f}x"]
            for each in found for board, (eight, four) in each.instructions.items()]
    said = "; ".join(f"{each.network} {each.constants[0]:,} and {each.constants[1]:,}" for each in found)
    return table(["network, board", "8 bits", "4 bits", "ratio"], rows) + (
        f"\n\nConstants on {BOARD}, bytes: {said}. Weights that are switched keep all 8 bits.")


def gates_table(network: str, found: Sequence[Gates], beside: Sequence[Widths]) -> str:
    rows = []
    whole = _mean(beside, "whole", "instructions")
    for way in (name for name in found[0].answers if name.startswith("gates")):
        keep = way.removeprefix("gates ")
        gated = [figure.right(way, coded=False) for figure in found]
        rows.append([f"gates, {keep}", *_costs(found, way, whole), _accuracy(found, way, coded=False), ""])
        for name, others, coded in ((f"pruned {keep}", beside, False), (f"cascade {keep}", found, True)):
            right = [figure.right(name, coded) for figure in others]
            rows.append([f"{name}, {'INT8' if coded else 'float'}", *_costs(others, name, whole),
                         _accuracy(others, name, coded), difference(right, gated)])
    return table([_told(network, found), "MACs", "instructions", "of the whole", "top-1, %",
                  "better than gates by"], rows)


def _costs(found: Sequence[OfSubject], way: str, whole: float) -> list[str]:
    instructions = _mean(found, way, "instructions")
    return [f"{_mean(found, way, 'macs'):,.0f}", f"{instructions:,.0f}", f"{instructions / whole:.2f}x"]
