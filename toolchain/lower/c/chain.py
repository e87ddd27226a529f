"""write_chain: a chain of quantized graphs becomes C in which its policy is compiled in.

Each stage is a network of its own, stage_<k>.c; model.c calls them, decides, and can be held to a level. To
programs it is any model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

import toolchain
from toolchain.chain import Chain
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Tensor
from toolchain.lower.c.arena.stages import ALIGNMENT, ChainArena, StageArena, place_stages
from toolchain.lower.c.arena.views import byte_size
from toolchain.lower.c.call import C_TYPE, Borrowed, array_text
from toolchain.lower.c.emit import Arranged, CSource, arranged, printed
from toolchain.lower.c.lending import Lent
from toolchain.lower.c.machine import PORTABLE, Machine
from toolchain.lower.c.names import LONGEST, Symbols, identifier, literal, plain
from toolchain.lower.c.pages import (
    TEMPLATES,
    PrintedPort,
    declared,
    invocations,
    kernel_files,
    printed_ports,
    selftest_page,
    wrapped,
)
from toolchain.lower.c.pool import PrintedArray
from toolchain.lower.tflite_border import with_border
from toolchain.policy import Policy
from toolchain.stages import level_digest
from toolchain.templates import render

KERNELS, DOUBT = ("tk_logits_s16", "tk_within"), "tk_doubt_s8"
SUFFIX = 10
"""Letters that tell a stage's symbols from its chain's."""


@dataclass(frozen=True, eq=False)
class ChainSource:
    """As a CSource; macs: of the worst case."""

    files: Mapping[str, bytes]
    weight_bytes: int
    arena_bytes: int
    macs: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrintedStage:
    """A stage as model.c calls it.

    call:   of its function
    logits: where they lie in the chain's arena
    end:    the number of the step after its own
    table:  text of its policy's table, "" of the last stage;  entries: how many it has;  bound: the policy's
    """

    call: str
    logits: int
    end: int
    zero_point: int
    multiplier: int
    table: str = ""
    entries: int = 0
    bound: int = 0


def write_chain(chain: Chain, vectors: Mapping[str, np.ndarray] | None = None, input_io: str = "int8",
                machine: Machine = PORTABLE) -> ChainSource:
    """model.c, model.h, stage_<k>.c and .h, their kernels and, given test vectors, selftest.c.

    Arguments are those of `write_c`; a machine's further memories are not used.
    Raises Unsupported listing every op of a stage that has no integer kernel.
    """
    prefix = identifier(chain.name)[:LONGEST - SUFFIX].rstrip("_")
    found = _lightest(chain, prefix, input_io, replace(machine, regions=()))
    shared = _shared(found)
    sources = [*_sources(found, prefix, shared)]
    arena = place_stages([_arena(graph, source) for graph, source in zip(chain.stages, sources)])
    ends = with_border(chain.ends, input_io, chain.ends.inputs)
    page = _page(chain, prefix, sources, arena, ends, sum(each.data.nbytes for each in shared))
    page |= selftest_page(ends, vectors) if vectors else {}
    files = {file: data for source in sources for file, data in source.files.items()}
    templates = {"model.h": "model.h.j2", "model.c": "chain.c.j2"}
    templates |= {"selftest.c": "selftest.c.j2"} if vectors else {}
    templates |= {f"shared.{kind}": f"shared.{kind}.j2" for kind in ("h", "c")} if shared else {}
    page["shared"] = [*map(_printed_array, shared)]
    files |= {file: render(TEMPLATES, template, page) for file, template in templates.items()}
    files |= kernel_files(("tk_model", *page["kernels"]))
    notes = tuple(f"stage {number}: {note}" for number, source in enumerate(sources)
                  for note in (*source.notes, *found[number].notes))
    return ChainSource(files, page["weight_bytes"], page["arena_bytes"], page["macs"], notes)


class _Found(NamedTuple):
    """A stage on its way; lent: what it has of its own, which stages before it may read"""

    arranged: Arranged
    lent: tuple[Lent, ...]

    @property
    def borrowed(self) -> set[str]:
        """Symbols of other stages' arrays that it reads."""
        return {each.symbol for each in self._all_borrowed}

    @property
    def notes(self) -> Iterator[str]:
        """How much that is, in words."""
        if read := sum(each.data.nbytes for each in self._all_borrowed):
            yield (f"reads {read:,} bytes of its constants in larger levels', and has {self.own_bytes:,} of "
                   "its own")

    @property
    def own_bytes(self) -> int:
        return sum(each.data.nbytes for each in self.lent)

    @property
    def _all_borrowed(self) -> list[Borrowed]:
        """One for each array, which several calls may read."""
        found = {id(each.data): each for made in self.arranged.done.calls.values() for call in made
                 for each in call.borrowed}
        return [*found.values()]


def _lightest(chain: Chain, prefix: str, input_io: str, machine: Machine) -> list[_Found]:
    """Each stage, without channels that change no output, unless slices stay in step by them."""
    found = _arranged(chain, prefix, input_io, machine)
    if not chain.apart or all(each.arranged.living is each.arranged.given for each in found):
        return found
    whole = _arranged(chain, prefix, input_io, machine, dead=True)
    return min(found, whole, key=lambda stages: sum(each.own_bytes for each in stages))


def _arranged(chain: Chain, prefix: str, input_io: str, machine: Machine,
              dead: bool = False) -> list[_Found]:
    """Each stage; of networks side by side each reads what larger ones hold too. dead: as `arranged`"""
    found, lent, own = [], (), {tensor.name for tensor in chain.inputs}
    for number, graph in reversed([*enumerate(chain.stages)]):
        if input_io != "int8" and 0 < len(own.intersection(graph.inputs)) < len(graph.inputs):
            raise Unsupported(f"{chain.name}: stage {number} ({graph.name}) takes "
                              f"{', '.join(graph.inputs)}: inputs of the chain, in {input_io}, together "
                              "with what stages make; leave [input] out")
        io = input_io if own.issuperset(graph.inputs) else "int8"
        made = arranged(graph, io, machine, lent if chain.apart else (), dead)
        found.append(_Found(made, tuple(_lent(made, f"{prefix}_shared_{number}"))))
        lent += found[-1].lent
    return found[::-1]


def _lent(made: Arranged, prefix: str) -> Iterator[Lent]:
    """Every array that it has of its own."""
    symbols = Symbols()
    for op, calls in made.done.calls.items():
        for number, call in enumerate(calls):
            for array in call.arrays:
                yield Lent(f"{prefix}_{symbols.of(f'{op} {number} {array.role}')}", array.data)


def _shared(found: Sequence[_Found]) -> list[Lent]:
    """What stages read of others, once each."""
    wanted = {symbol for each in found for symbol in each.borrowed}
    return [lent for each in found for lent in each.lent if lent.symbol in wanted]


def _printed_array(lent: Lent) -> PrintedArray:
    return PrintedArray(C_TYPE[lent.data.dtype.name], lent.symbol, lent.data.size, array_text(lent.data),
                        lent.data.nbytes)


def _sources(found: Sequence[_Found], prefix: str, shared: Sequence[Lent]) -> Iterator[CSource]:
    """Of each stage. A decision is a step too, counted behind its stage's."""
    steps = 0
    for number, each in enumerate(found):
        source = printed(each.arranged, f"{prefix}_stage_{number}", None, f"stage_{number}", steps, shared)
        steps += len(source.titles) + 1
        yield source


def _arena(graph: Graph, source: CSource) -> StageArena:
    offsets, tensors = source.plan.offsets, graph.tensors
    return StageArena(source.arena_bytes, {n: (offsets[n], byte_size(tensors[n])) for n in graph.inputs},
                      {n: byte_size(tensors[n]) for n in graph.outputs[1:]})


def _page(chain: Chain, prefix: str, sources: Sequence[CSource], arena: ChainArena,
          ends: Graph, shared_bytes: int) -> dict[str, object]:
    """What model.h and model.c show. ends: what goes in and comes out, as C has it;  shared_bytes: of what
    stages read of others"""
    logits, path = (ends.tensors[name] for name in ends.outputs)
    upper, start = prefix.upper(), _aligned(arena.bytes)
    offsets = {**arena.values, path.name: start, logits.name: start + byte_size(path)}
    inputs, outputs = (printed_ports(ends, offsets, side, upper) for side in ("input", "output"))
    stages = [*_printed(chain, prefix, sources, arena, [port.argument for port in inputs])]
    peak = max(sources, key=lambda source: source.arena_bytes)
    tables = sum(4 * stage.entries for stage in stages)
    macs = (max if chain.apart else sum)(source.macs for source in sources)
    what = "networks side by side" if chain.apart else "stages"
    return {
        "title": plain(f"{chain.name}: {len(sources)} {what}, at most {macs:,} MACs"),
        "name": plain(chain.name), "prefix": prefix, "upper": upper,
        "tool": f"edge-toolchain {toolchain.__version__}", "macs": macs,
        "digest": chain.digest, "arena_bytes": _aligned(offsets[logits.name] + byte_size(logits)),
        "regions": (), "peak": plain(f"stage_{sources.index(peak)}: {peak.plan.peak}"),
        "weight_bytes": sum(source.weight_bytes for source in sources) + shared_bytes + tables
        + 8 * len(sources),
        "kernels": KERNELS if chain.apart else (DOUBT, *KERNELS),
        "titles": [*_titles(sources, chain.apart)],
        "inputs": inputs, "outputs": outputs, "selftest": False, "stages": stages,
        "classes": logits.shape[1], "apart": chain.apart, **invocations(prefix, inputs, outputs),
        **_levels(chain, prefix, inputs, outputs),
        "labels": [literal(label) for label in ends.metadata.labels]}


def _levels(chain: Chain, prefix: str, inputs: list[PrintedPort],
            outputs: list[PrintedPort]) -> dict[str, object]:
    """What is told of them, and invoke_level as it is declared, as invoke calls it, and the self-test, whose
    vectors are of the last."""
    last, arguments = len(chain.stages) - 1, [*(port.argument for port in (*inputs, *outputs)), "arena"]
    digests = [*(level_digest(chain.digest, level) for level in range(last)), chain.digest]
    function, within = f"{prefix}_invoke_level", f"{prefix}_level_within({prefix.upper()}_BUDGET)"
    return {"costs": [*map(str, chain.levels.costs)], "digests": digests, "unit": chain.levels.unit,
            "measured_on": plain(chain.levels.measured_on),
            "call": wrapped(f"{function}(", [
                f"(int32_t){prefix.upper()}_LEVEL_COUNT - 1", *arguments], 8),
            "level_signature": wrapped(f"void {function}(", [
                "int32_t level", *declared(inputs, outputs), "void *arena"], 0),
            "level_call": wrapped(f"{function}(", [
                within, *arguments], 4)}


def _titles(sources: Sequence[CSource], apart: bool) -> Iterator[str]:
    """Of all steps; a decision is one."""
    for number, source in enumerate(sources):
        yield from source.titles
        always = apart or source is sources[-1]
        yield f"stage {number}: answers" if always else f"stage {number}: answers or not"


def _printed(chain: Chain, prefix: str, sources: Sequence[CSource], arena: ChainArena,
             arguments: Sequence[str]) -> Iterator[PrintedStage]:
    given, end = dict(zip((tensor.name for tensor in chain.inputs), arguments, strict=True)), 0
    policies: list[Policy | None] = [*chain.policies, *[None] * (len(sources) - len(chain.policies))]
    for number, (graph, source, policy) in enumerate(zip(chain.stages, sources, policies, strict=True)):
        end += len(source.titles) + 1
        start, tensor = arena.starts[number], graph.tensors[graph.outputs[0]]
        logits = start + source.plan.offsets[tensor.name]
        places = [given.get(name) or _there(graph.tensors[name], arena.values[name]) for name in graph.inputs]
        places += [f"memory + {logits}"]
        places += [_there(graph.tensors[name], arena.values[name]) for name in graph.outputs[1:]]
        call = wrapped(f"{prefix}_stage_{number}_invoke(", [*places, f"memory + {start}"],
                       8 if chain.apart else 4)
        table = np.array(policy.table if policy else (), np.int32)
        yield PrintedStage(call, logits, end, int(tensor.quant.zero_point), chain.multipliers[number],
                           array_text(table) if policy else "", len(table), policy.bound if policy else 0)


def _there(tensor: Tensor, offset: int) -> str:
    place = f"memory + {offset}"
    return place if tensor.dtype == "int8" else f"({C_TYPE[tensor.dtype]} *)(void *)({place})"


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
