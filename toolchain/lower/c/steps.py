"""What model.c does, op by op: constants, parameters and kernel calls, each constant printed once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import Loop, Part, parts
from toolchain.ir.ops import op_macs
from toolchain.lower.c.arena.plan import Plan
from toolchain.lower.c.arena.views import byte_size
from toolchain.lower.c.call import C_TYPE, Array, Borrowed, Call, initializer
from toolchain.lower.c.lending import Lent
from toolchain.lower.c.names import Symbols, plain
from toolchain.lower.c.pool import Pool, PrintedArray, PrintedParams

STEP, OWN_PARAMS = "step", "params"
"""The variables of a loop, and of a block whose call has parameters of its own."""
FETCH_TYPE = "tk_fetch_params"


@dataclass(frozen=True)
class PrintedCall:
    """A kernel call of model.c and the name of the parameters that it takes.

    own: these parameters, where they are a variable of its block, as they point into the arena
    """

    kernel: str
    params: str
    arguments: tuple[str, ...]
    own: PrintedParams | None = None


@dataclass(frozen=True)
class Step:
    """One op. arrays, params: those that no step before has printed; number: which of the layers it is"""

    title: str
    arrays: tuple[PrintedArray, ...]
    params: tuple[PrintedParams, ...]
    calls: tuple[PrintedCall, ...]
    number: int = 0


@dataclass(frozen=True)
class Block:
    """Steps one after the other; times: how often, 0 where they are in no loop"""

    steps: tuple[Step, ...]
    times: int = 0


def port_names(side: str, count: int) -> list[str]:
    """What invoke calls its inputs or outputs."""
    return [side] if count == 1 else [f"{side}_{i}" for i in range(count)]


def memory_name(number: int) -> str:
    """What invoke calls the start of an arena: of the main memory's, or of another region's."""
    return f"memory_{number}" if number else "memory"


class Printer:
    """Gives every tensor of a graph its place in C and every op its step.

    elsewhere: arrays that are printed elsewhere, which calls borrow or which are the same as some of its own
    """

    def __init__(self, graph: Graph, calls: Mapping[str, list[Call]], plan: Plan,
                 elsewhere: Sequence[Lent] = ()):
        self.graph, self.calls, self.plan = graph, calls, plan
        self.symbols, self.places, self.pool = Symbols(), plan.layout.places, Pool(elsewhere)
        self.outside: dict[str, tuple[str, str, str]] = {}
        for argument, name in zip(port_names("input", len(graph.inputs)), graph.inputs, strict=True):
            self.outside[self.places[name].owner] = argument, self._dtype(name), "const "
        for argument, name in zip(port_names("output", len(graph.outputs)), graph.outputs, strict=True):
            self.outside.setdefault(self.places[name].owner, (argument, self._dtype(name), ""))

    def _outputs(self) -> list[tuple[str, str]]:
        """Argument as kernels take it, tensor."""
        arguments = port_names("output", len(self.graph.outputs))
        return [(_as_bytes(argument, self._dtype(name), "void *"), name)
                for argument, name in zip(arguments, self.graph.outputs, strict=True)]

    def blocks(self, first_step: int = 0) -> list[Block]:
        """A step per op that does something, then copies to outputs whose value lies elsewhere.

        first_step: what steps are numbered from
        """
        made = [block for part in parts(self.graph) for block in self._blocks(part)]
        made.append(Block(tuple(self._output(argument, name, f"output {i}")
                                for i, (argument, name) in enumerate(self._outputs())
                                if self._place(name) != argument)))
        numbers = count(first_step)
        return [replace(block, steps=tuple(replace(step, number=next(numbers)) for step in block.steps))
                for block in made]

    def _blocks(self, part: Part) -> Iterator[Block]:
        """Of a loop: how its states begin, what is repeated, what it leaves behind."""
        if not isinstance(part, Loop):
            yield self._block([part])
            return
        states = [op for op in part.body if op.kind == "state"]
        repeated = self._block([*(op for op in part.body if op.kind != "state"),
                                *(op for op in part.exits if op.kind == "sequence")])
        yield self._block(states)
        yield Block((*repeated.steps, *map(self._becomes, states)), part.steps)
        yield self._block([op for op in part.exits if op.kind == "last"])

    def _block(self, ops: Iterable[Op]) -> Block:
        return Block(tuple(self._step(op) for op in ops if self.calls[op.name]))

    def _dtype(self, name: str) -> str:
        return self.graph.tensors[name].dtype

    def _place(self, name: str) -> str:
        """The expression for a tensor's first byte; that of a constant is printed before."""
        tensor = self.graph.tensors[name]
        if tensor.is_constant:
            return _as_bytes(self.pool.array_name(tensor.data), tensor.dtype)
        place = self.places[name]
        if place.owner not in self.outside:
            return self._in_arena(name)
        argument, dtype, const = self.outside[place.owner]
        if place.offset:
            return _as_bytes(argument, dtype, f"{const}int8_t *") + f" + {place.offset}"
        return _as_bytes(argument, dtype, f"{const}void *")

    def _in_arena(self, name: str) -> str:
        number, offset = self.plan.place_of(name)
        return f"{memory_name(number)} + {offset}"

    def _step(self, op: Op) -> Step:
        calls, symbol = self.calls[op.name], self.symbols.of(op.name)
        arrays = [self.pool.array(name, data) for name, data in self._data(calls, symbol)]
        params = [each for call in calls for each in self._params(call, symbol)]
        shapes = " -> ".join(str(list(self.graph.tensors[name].shape)) for name in (op.inputs[0], op.name))
        title = plain(f"{op.name}: {op.kind} {shapes}, {op_macs(self.graph, op):,} MACs")
        return Step(title, tuple(filter(None, arrays)), tuple(filter(None, params)),
                    tuple(printed for call in calls for printed in (*self._fetches(call, op),
                                                                    self._call(call, op))))

    def _params(self, call: Call, symbol: str) -> Iterator[PrintedParams | None]:
        """What is printed once for the file, as it points to constants alone."""
        for each in call.fetched:
            yield self.pool.params(f"{symbol}_fetch", FETCH_TYPE, _initializer_of(each))
        if not call.fetched:
            yield self.pool.params(f"{symbol}_params", _type(call), self._initializer(call))

    def _fetches(self, call: Call, op: Op) -> Iterator[PrintedCall]:
        """What is laid out in the arena before the call."""
        for each, place in call.fetched.items():
            name = self.pool.params_name(FETCH_TYPE, _initializer_of(each))
            yield PrintedCall("tk_fetch", name, (each.symbol, self._fetched(op, place)))

    def _fetched(self, op: Op, place: int) -> str:
        number, offset = self.plan.place_of(f"{op.name}.scratch")
        return f"{memory_name(number)} + {offset + place}"

    def _data(self, calls: Iterable[Call], symbol: str) -> Iterator[tuple[str, np.ndarray]]:
        """Constant operands, and what the parameters point to, with the names that they would like."""
        for call in calls:
            for name in call.operands:
                if self.graph.tensors[name].is_constant:
                    yield f"{self.symbols.of(name)}_data", self.graph.tensors[name].data
            for array in call.arrays:
                yield f"{symbol}_{array.role}", array.data

    def _initializer(self, call: Call, op: Op | None = None) -> str:
        """op: of a call that fetches"""
        def name_of(array: Array | Borrowed) -> str:
            if not isinstance(array, Borrowed):
                return self.pool.array_name(array.data)
            if array.blocks is None:
                return array.symbol
            return _as_codes(self._fetched(op, call.fetched[array]), array.data.dtype.name)

        return initializer(call.params, name_of)

    def _call(self, call: Call, op: Op) -> PrintedCall:
        scratch = [self._in_arena(f"{op.name}.scratch")] if call.scratch_bytes else []
        operands, out = [*map(self._place, call.operands)], self._place(op.name)
        if op.kind == "step":
            operands = [self._at_step(op, op.inputs[0], op.name)]
        elif op.kind == "sequence":
            out = self._at_step(op, op.name, op.inputs[0])
        arguments = (*operands, *scratch, out)
        if call.fetched:
            own = PrintedParams(_type(call), OWN_PARAMS, self._initializer(call, op))
            return PrintedCall(call.kernel, OWN_PARAMS, arguments, own)
        name = self.pool.params_name(_type(call), self._initializer(call))
        return PrintedCall(call.kernel, name, arguments)

    def _at_step(self, op: Op, whole: str, one: str) -> str:
        """Where the bytes of the tensor `one` lie in `whole` at the step of the loop around."""
        steps = self.graph.tensors[whole].shape[op.attrs["axis"]]
        number = f"({steps - 1} - {STEP})" if op.attrs["reverse"] else STEP
        return f"{self._bytes_of(whole)} + {number} * {byte_size(self.graph.tensors[one])}"

    def _bytes_of(self, name: str) -> str:
        """As `_place`, and to count on from."""
        tensor = self.graph.tensors[name]
        if tensor.is_constant:
            return _as_bytes(self.pool.array_name(tensor.data), tensor.dtype, "const int8_t *")
        place = self.places[name]
        if place.owner not in self.outside or place.offset:
            return self._place(name)
        argument, dtype, const = self.outside[place.owner]
        return _as_bytes(argument, dtype, f"{const}int8_t *")

    def _becomes(self, op: Op) -> Step:
        """A state of the next step."""
        return self._copy(self._place(op.name), op.inputs[1], f"{op.name}: of the next step",
                          f"{self.symbols.of(op.name)}_params")

    def _output(self, argument: str, name: str, title: str) -> Step:
        return self._copy(argument, name, f"{title} is {name} too", "output_params")

    def _copy(self, argument: str, name: str, title: str, wanted: str) -> Step:
        call = Call("tk_copy", (name,), {"size": byte_size(self.graph.tensors[name])})
        params = self.pool.params(wanted, _type(call), self._initializer(call))
        printed = PrintedCall(call.kernel, self.pool.params_name(_type(call), self._initializer(call)),
                              (self._place(name), argument))
        return Step(plain(title), (), tuple(filter(None, (params,))), (printed,))


def _initializer_of(fetched: Borrowed) -> str:
    """Of tk_fetch_params."""
    return initializer(fetched.blocks._asdict(), lambda array: array.symbol)


def _as_codes(place: str, dtype: str) -> str:
    """Bytes of the arena as a pointer to codes."""
    return place if dtype == "int8" else f"(const {C_TYPE[dtype]} *)(const void *)({place})"


def _type(call: Call) -> str:
    return call.struct or f"{call.kernel}_params"


def _as_bytes(expression: str, dtype: str, pointer: str = "const void *") -> str:
    """As kernels take it, which know int8_t and void: other pointers lose their type."""
    return expression if dtype == "int8" else f"({pointer}){expression}"
