"""What model.c does, op by op: constants, parameters and kernel calls, each constant printed once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import Loop, Part, parts
from toolchain.ir.ops import op_macs
from toolchain.lower.c.arena.plan import Plan
from toolchain.lower.c.arena.views import byte_size
from toolchain.lower.c.call import C_TYPE, Call, array_text, initializer
from toolchain.lower.c.names import Symbols, plain

STEP = "step"
"""The variable of a loop."""


@dataclass(frozen=True)
class PrintedArray:
    """A constant array of model.c."""

    type: str
    name: str
    count: int
    text: str
    bytes: int


@dataclass(frozen=True)
class PrintedParams:
    """The parameters of kernel calls."""

    type: str
    name: str
    initializer: str


@dataclass(frozen=True)
class PrintedCall:
    """A kernel call of model.c and the name of the parameters that it takes."""

    kernel: str
    params: str
    arguments: tuple[str, ...]


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
    """Gives every tensor of a graph its place in C and every op its step."""

    def __init__(self, graph: Graph, calls: Mapping[str, list[Call]], plan: Plan):
        self.graph, self.calls, self.plan = graph, calls, plan
        self.symbols, self.places, self.pool = Symbols(), plan.layout.places, Pool()
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
        params = [self.pool.params(f"{symbol}_params", _type(call), self._initializer(call))
                  for call in calls]
        shapes = " -> ".join(str(list(self.graph.tensors[name].shape)) for name in (op.inputs[0], op.name))
        title = plain(f"{op.name}: {op.kind} {shapes}, {op_macs(self.graph, op):,} MACs")
        return Step(title, tuple(filter(None, arrays)), tuple(filter(None, params)),
                    tuple(self._call(call, op) for call in calls))

    def _data(self, calls: Iterable[Call], symbol: str) -> Iterator[tuple[str, np.ndarray]]:
        """Constant operands, and what the parameters point to, with the names that they would like."""
        for call in calls:
            for name in call.operands:
                if self.graph.tensors[name].is_constant:
                    yield f"{self.symbols.of(name)}_data", self.graph.tensors[name].data
            for array in call.arrays:
                yield f"{symbol}_{array.role}", array.data

    def _initializer(self, call: Call) -> str:
        return initializer(call.params, lambda array: self.pool.array_name(array.data))

    def _call(self, call: Call, op: Op) -> PrintedCall:
        scratch = [self._in_arena(f"{op.name}.scratch")] if call.scratch_bytes else []
        operands, out = [*map(self._place, call.operands)], self._place(op.name)
        if op.kind == "step":
            operands = [self._at_step(op, op.inputs[0], op.name)]
        elif op.kind == "sequence":
            out = self._at_step(op, op.name, op.inputs[0])
        return PrintedCall(call.kernel, self.pool.params_name(_type(call), self._initializer(call)),
                           (*operands, *scratch, out))

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


class Pool:
    """Constants of model.c by their content: what is equal has one name and is printed once."""

    def __init__(self):
        self._names: dict[object, str] = {}

    def array(self, wanted: str, data: np.ndarray) -> PrintedArray | None:
        """To be printed; None where it was before. wanted: a name, which gets a number if it is taken"""
        name = self._new(wanted, _content(data))
        return name and PrintedArray(C_TYPE[data.dtype.name], name, data.size, array_text(data), data.nbytes)

    def array_name(self, data: np.ndarray) -> str:
        """What it was printed as."""
        return self._names[_content(data)]

    def params(self, wanted: str, type: str, text: str) -> PrintedParams | None:
        """As `array`."""
        name = self._new(wanted, (type, text))
        return name and PrintedParams(type, name, text)

    def params_name(self, type: str, text: str) -> str:
        return self._names[type, text]

    def _new(self, wanted: str, content: object) -> str | None:
        if content in self._names:
            return None
        name, number, taken = wanted, 1, set(self._names.values())
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        self._names[content] = name
        return name


def _content(data: np.ndarray) -> tuple[str, bytes]:
    return data.dtype.name, data.tobytes()


def _type(call: Call) -> str:
    return call.struct or f"{call.kernel}_params"


def _as_bytes(expression: str, dtype: str, pointer: str = "const void *") -> str:
    """As kernels take it, which know int8_t and void: other pointers lose their type."""
    return expression if dtype == "int8" else f"({pointer}){expression}"
