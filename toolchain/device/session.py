"""An artefact's firmware at the other end of a serial line, ready to run."""

from collections.abc import Callable, Mapping
from functools import partial
import time
from typing import TypeVar

import numpy as np

from toolchain.artifact import Artifact
from toolchain.device.lines import printable
from toolchain.device.protocol import INFER_S, REPLY_S, Dut, Inference, Model
from toolchain.errors import BadReply, DeviceLost, DeviceTimeout, InvalidMeasurement
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count

Result = TypeVar("Result")
TRIES = 3
PATIENCE = 20
"""An inference that takes so many times the longest before it hangs."""


def persistently(ask: Callable[[], Result], start_over: Callable[[], None]) -> Result:
    """ask(), and where the line or a reset spoilt it, start_over() and ask() again, TRIES times in all."""
    for attempt in range(TRIES):
        try:
            if attempt:
                start_over()
            return ask()
        except (BadReply, DeviceLost, DeviceTimeout) as error:
            failure = error
    raise failure


class FirmwareSession:
    """An artefact running on a board; inputs and outputs are codes in the Graph's layout.

    What a disturbed line or a reset spoils is done again from its start, TRIES times in all: nothing of the
    spoilt attempt is kept.

    tries_again: how often that was
    inferences:  what the last `run` counted of each sample
    Raises InvalidMeasurement where the board runs another model.
    """

    at_once = 32

    def __init__(self, artifact: Artifact, dut: Dut, name: str, runtime: str):
        self._artifact, self._dut, self._name, self.runtime = artifact, dut, name, runtime
        self.inputs: tuple[Port, ...] = artifact.manifest.inputs["c"]
        self.outputs: tuple[Port, ...] = artifact.manifest.outputs["c"]
        self.tries_again, self._longest_s = 0, 0.0
        self.inferences: list[Inference] = []
        self.model = self.persist(self._own_model)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output for N samples, stacked. Raises BadSamples."""
        count = sample_count(self.inputs, feeds)
        results: dict[str, list[np.ndarray]] = {port.name: [] for port in self.outputs}
        self.inferences = []
        for i in range(count):
            inputs = [np.ascontiguousarray(feeds[port.name][i]).tobytes() for port in self.inputs]
            inference, outputs = self.persist(partial(self._answers, inputs))
            self.inferences.append(inference)
            for port, data in zip(self.outputs, outputs):
                results[port.name].append(np.frombuffer(data, port.dtype).reshape(port.shape[1:]))
        return {name: np.stack(samples) for name, samples in results.items()}

    def infer(self, inputs: list[bytes]) -> Inference:
        """One inference of these inputs, counted."""
        return self.persist(lambda: self._count(inputs))

    def bench_inputs(self) -> list[bytes]:
        """Of the first test vector, or zeros."""
        vectors = self._artifact.vectors
        return [(vectors[f"input/{port.name}"][0] if vectors else np.zeros(port.shape))
                .astype(port.dtype).tobytes() for port in self.inputs]

    def persist(self, ask: Callable[[], Result]) -> Result:
        """ask(), again where the line or a reset spoilt it; the model must still be the same then."""
        return persistently(ask, self._start_over)

    def _start_over(self) -> None:
        self._dut.greet()
        self.tries_again += 1
        self.model = self._own_model()

    def _answers(self, inputs: list[bytes]) -> tuple[Inference, list[bytes]]:
        """One inference, and every output's codes, all of it."""
        inference = self._count(inputs)
        outputs = [self._dut.read_output(index) for index in range(len(self.outputs))]
        for port, size, data in zip(self.outputs, self.model.output_bytes, outputs):
            if len(data) != size:
                raise BadReply(f"{self._name}: output {port.name} has {len(data):,} bytes, not {size:,}")
        return inference, outputs

    def _count(self, inputs: list[bytes]) -> Inference:
        self._dut.load_codes(inputs)
        start = time.monotonic()
        limit_s = min(INFER_S, REPLY_S + PATIENCE * self._longest_s) if self._longest_s else INFER_S
        inference = self._dut.count(limit_s)
        self._longest_s = max(self._longest_s, time.monotonic() - start)
        return inference

    def _own_model(self) -> Model:
        """Asked twice: of a digest or a clock that a disturbed line changed, nothing else would tell."""
        model, expected = self._dut.model(), self._artifact.manifest.graph_digest
        if self._dut.model() != model:
            raise BadReply(f"{self._name} tells of two different models in a row; is its line disturbed?")
        if expected not in ("", model.digest):
            found = printable(model.digest[:12])
            raise InvalidMeasurement(f"{self._name} runs the model {found}, the artefact is {expected[:12]}; "
                                     f"build it again")
        return model
