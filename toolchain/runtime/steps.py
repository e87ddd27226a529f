"""Whole sequences in a network's streaming form: a step at a time, its states handed back."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from toolchain.ir.streaming import State, Streaming
from toolchain.port import Port, convert

Arrays = Mapping[str, np.ndarray]
Ports = Sequence[Port]


def run_steps(run: Callable[[Arrays], Arrays], form: Streaming, inputs: Ports, outputs: Ports,
              given: Mapping[str, Port], feeds: Arrays) -> Iterator[tuple[Arrays, Arrays]]:
    """What goes in and what comes out at each step, from the states that a sequence begins with.

    run:             one step of N samples, as the ports `inputs` and `outputs` describe it
    given:           input that is no state -> what `feeds` holds of it
    feeds:           (N, ...) in the Graph's layout, all steps of what has steps
    """
    made = {port.name: port for port in outputs}
    count = len(next(iter(feeds.values())))
    takes = {port.name: port for port in inputs}
    held = {state.input: initial(state, takes[state.input], count) for state in form.states}
    for step in range(form.steps):
        now = {name: convert(at_step(form, name, x, step), given[name], takes[name])
               for name, x in feeds.items()}
        fed = {port.name: held[port.name] if port.name in held else now[port.name] for port in inputs}
        answers = run(fed)
        yield fed, answers
        held = {state.input: convert(answers[state.output], made[state.output], takes[state.input])
                for state in form.states}


def initial(state: State, port: Port, count: int = 1) -> np.ndarray:
    """What a state is fed with first: (count, ...) as the port takes it."""
    reals = np.empty((count, *port.shape[1:]), np.float32)
    reals.reshape(count, -1)[:] = state.initial
    return convert(reals, Port(port.name, port.shape, "float32"), port)


def at_step(form: Streaming, name: str, values: np.ndarray, step: int) -> np.ndarray:
    """One step of an input that has steps; another as it is."""
    axis = form.axes.get(name)
    return values if axis is None else np.take(values, [step], axis)
