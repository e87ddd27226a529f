"""The streaming form of a network with loops: a graph without them that does one step.

Its states are inputs, and what they become are outputs: the next step is fed with those. A sequence keeps its
axis of steps, which is 1 long. What follows the last step follows the one that is done: after any number of
steps the outputs are those of the sequence form for what was fed so far.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, Op, Shape, Tensor, live_ops, unique_name
from toolchain.ir.loops import Loop, parts
from toolchain.ir.ops import make
from toolchain.ir.passes import drop_identity
from toolchain.ir.passing import differs_along, passed
from toolchain.ir.quant import dequantize

REMEDY = "leave out streaming = true, or let each step depend on itself and the states alone"


@dataclass(frozen=True)
class State:
    """input, output: by which it goes in, and by which comes what it is fed with at the next step
    initial: real values that it is fed with first, in order; a single one where all are the same
    """

    input: str
    output: str
    initial: tuple[float, ...]


@dataclass(frozen=True)
class Streaming:
    """How the streaming form is run. Axes are in the Graph's layout.

    steps: of a whole sequence;  axes: input or output that has one step of it -> the axis of the steps
    """

    steps: int
    axes: Mapping[str, int]
    states: tuple[State, ...]

    def fits(self, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bool:
        """Whether it can be of a network with these."""
        ports = {**outputs, **inputs}
        lie = all(0 <= axis < len(ports.get(name, ())) for name, axis in self.axes.items())
        return self.steps > 0 and lie and all(
            state.input in inputs and state.output in outputs
            and len(state.initial) in (1, np.prod(inputs[state.input])) for state in self.states)


@dataclass(frozen=True, eq=False)
class OneStep:
    """graph: without loops, of the level that it was made of;  form: how it is run"""

    graph: Graph
    form: Streaming


def streamed(graph: Graph) -> OneStep:
    """The streaming form of a graph of any level; numbers and codes stay as they are.

    Raises Unsupported for a graph without loops, and for an op that needs other steps than one after the
    other, naming it.
    """
    loops = [part for part in parts(graph) if isinstance(part, Loop)]
    lengths = sorted({loop.steps for loop in loops})
    if len(lengths) != 1 or lengths == [1]:
        found = f"loops of {', '.join(map(str, lengths))} steps" if loops else "no recurrent layer"
        raise Unsupported(f"{graph.name}: streaming = true needs recurrent layers over one sequence of two "
                          f"steps or more, but it has {found}; {REMEDY}")
    return _OneStep(graph, loops, lengths[0]).run()


@dataclass(eq=False)
class _OneStep:
    """axes:  tensor with all steps -> their axis
    ended: what depends on the last step alone
    alias: tensor that is another one here -> that one
    ops, tensors, states: of the streaming form
    """

    graph: Graph
    loops: list[Loop]
    steps: int
    axes: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    alias: dict[str, str] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)

    def run(self) -> OneStep:
        for op in (op for loop in self.loops for op in loop.body if op.kind == "step"):
            self.trace(op)
        for part in parts(self.graph):
            self.repeat(part) if isinstance(part, Loop) else self.outside(part)
        self.tensors = {name: replace(tensor, shape=self.shape(tensor))
                        for name, tensor in self.graph.tensors.items()}
        self.hand_out()
        outputs = (*self.graph.outputs, *(state.output for state in self.states))
        inputs = (*self.graph.inputs, *(state.input for state in self.states))
        ops = live_ops((replace(op, inputs=tuple(map(self.named, op.inputs))) for op in self.ops), outputs)
        made = replace(self.graph, tensors=self.tensors, inputs=inputs, outputs=outputs).with_ops(ops)
        axes = {name: axis for name, axis in self.axes.items() if name in (*inputs, *outputs)}
        return OneStep(check(drop_identity(made), level_of(made)),
                       Streaming(self.steps, axes, tuple(self.states)))

    def named(self, name: str) -> str:
        while name in self.alias:
            name = self.alias[name]
        return name

    # Where the steps lie

    def trace(self, reader: Op) -> None:
        """From a step op back to the inputs whose steps it takes."""
        todo = [(reader.inputs[0], reader.attrs["axis"])]
        for name, axis in todo:
            if name in self.graph.inputs:
                if self.axes.setdefault(name, axis) != axis:
                    raise self.refused(reader, f"takes steps along axis {axis} of input {name}, of which "
                                               f"others take them along axis {self.axes[name]}")
            elif self.graph.tensors[name].is_constant:
                raise self.refused(reader, f"takes its steps of the constant {name}")
            else:
                todo += [place for place in self.behind(name, axis) if place not in todo]

    def behind(self, name: str, axis: int) -> list[tuple[str, int]]:
        """Tensors and their axes that pass to this one; none of what a loop gives."""
        op = self.graph.producers[name]
        if op.kind == "sequence":
            return []
        found = [(t.name, at) for t in self.graph.of(op) if not t.is_constant for at in range(len(t.shape))
                 if passed(self.graph, op, t.name, at) == axis]
        if not found:
            raise self.mixes(op)
        return found

    def outside(self, op: Op) -> None:
        """An op that no loop repeats."""
        whole = [name for name in op.inputs if name in self.axes]
        self.require_apart(op, whole)
        if not whole or self.takes_last(op, whole[0]):
            self.ended |= {op.name} if whole or self.ended.intersection(op.inputs) else set()
            self.ops.append(self.of_one(op, self.axes.get(op.inputs[0])))
            return
        places = {passed(self.graph, op, name, self.axes[name]) for name in whole}
        axis = places.pop()
        if places or axis is None:
            raise self.mixes(op)
        for tensor in self.graph.of(op):
            if tensor.name not in self.axes and differs_along(self.graph, op, tensor, axis):
                raise self.refused(op, f"reads other values of {tensor.name} at each step")
        self.axes[op.name] = axis
        self.ops.append(self.of_one(op, self.axes.get(op.inputs[0])))

    def repeat(self, loop: Loop) -> None:
        made = {op.name for op in loop.body}
        for op in loop.body:
            self.require_apart(op, made)
            if op.kind == "step":
                self.step(op)
            elif op.kind == "state":
                self.begin(op)
            elif any(name in self.axes for name in op.inputs):
                raise self.mixes(op)
            else:
                self.ops.append(op)
        for op in loop.exits:
            self.leave(op)

    def require_apart(self, op: Op, steps: Collection[str]) -> None:
        """What the last step gives is not there for an op that is done at all `steps`."""
        if late := self.ended.intersection(op.inputs) if steps else ():
            raise self.refused(op, f"needs {min(late)} of the last step at every step")

    def step(self, op: Op) -> None:
        if op.attrs["reverse"]:
            raise self.refused(op, "goes from the last step to the first, as in a bidirectional layer")
        self.ops.append(self.shaped(op))

    def begin(self, op: Op) -> None:
        initial = self.graph.of(op)[0]
        if not initial.is_constant:
            raise self.refused(op, f"begins with {initial.name}, which is computed or fed; states of the "
                                   f"streaming form begin with constants")
        self.states.append(State(op.name, op.inputs[1], _reals(initial)))

    def leave(self, op: Op) -> None:
        if op.kind == "sequence":
            if op.attrs["reverse"]:
                raise self.refused(op, "stacks its steps from the last to the first")
            self.axes[op.name] = op.attrs["axis"]
            self.ops.append(self.shaped(op))
            return
        self.ended.add(op.name)
        if op.name in self.graph.outputs:
            self.ops.append(self.shaped(op))
        else:
            self.alias[op.name] = op.inputs[0]

    # What becomes of ops and tensors

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """With one step, where it has all of them."""
        axis = self.axes.get(tensor.name)
        return tuple(1 if place == axis else size for place, size in enumerate(tensor.shape))

    def shaped(self, op: Op) -> Op:
        """What only changes the shape, for one step."""
        return make("reshape", op.inputs[:1], op.name, shape=self.shape(self.graph.tensors[op.name]))

    def takes_last(self, op: Op, name: str) -> bool:
        """Whether the op cuts the last step out."""
        if op.kind != "slice":
            return False
        begin, end, stride = (op.attrs[key][self.axes[name]] for key in ("begin", "end", "strides"))
        return range(self.steps)[begin:end:stride] == range(self.steps - 1, self.steps)

    def of_one(self, op: Op, axis: int | None) -> Op:
        """The op with the sizes in its attributes. axis: of the steps in what it reads"""
        if op.kind == "reshape":
            return self.shaped(op)
        if op.kind == "slice" and axis is not None:
            of_step = {"begin": 0, "end": 1, "strides": 1}
            return replace(op, attrs={key: tuple(of_step[key] if at == axis else place
                                                 for at, place in enumerate(places))
                                      for key, places in op.attrs.items()})
        return op

    def hand_out(self) -> None:
        """Every state comes out under a name of its own, and is an input."""
        taken = {*self.graph.outputs, *self.graph.inputs, *(state.input for state in self.states)}
        for number, state in enumerate(self.states):
            name = state.output
            if name in taken:
                name = unique_name(f"{state.input}.next", self.tensors)
                self.tensors[name] = replace(self.tensors[state.input], name=name)
                self.ops.append(make("reshape", (state.output,), name, shape=self.tensors[name].shape))
                self.states[number] = replace(state, output=name)
            taken.add(name)

    def mixes(self, op: Op) -> Unsupported:
        return self.refused(op, "mixes steps, of which the streaming form has one at a time")

    def refused(self, op: Op, why: str) -> Unsupported:
        return Unsupported(f"{self.graph.name} cannot be streamed: {op.name}: {op.kind} {why}; {REMEDY}")


def _reals(tensor: Tensor) -> tuple[float, ...]:
    reals = tensor.data if tensor.quant is None else dequantize(tensor.data, tensor.quant)
    values = tuple(map(float, reals.ravel()))
    return values[:1] if len(set(values)) == 1 else values
