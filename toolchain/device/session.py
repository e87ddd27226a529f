"""An artefact's firmware at the other end of a serial line, ready to run."""

from collections.abc import Mapping

import numpy as np

from toolchain.artifact import Artifact, Port
from toolchain.device.protocol import Dut, Inference
from toolchain.errors import InvalidMeasurement
from toolchain.runtime.feeds import sample_count


class FirmwareSession:
    """An artefact running on a board; inputs and outputs are codes in the Graph's layout.

    Raises InvalidMeasurement where the board runs another model.
    """

    def __init__(self, artifact: Artifact, dut: Dut, name: str, runtime: str):
        expected, self.model = artifact.manifest.graph_digest, dut.model()
        if expected not in ("", self.model.digest):
            raise InvalidMeasurement(f"{name} runs the model {self.model.digest[:12]}, the artefact is "
                                     f"{expected[:12]}; build it again")
        self._artifact, self._dut, self.runtime = artifact, dut, runtime
        self.inputs: tuple[Port, ...] = artifact.manifest.inputs["c"]
        self.outputs: tuple[Port, ...] = artifact.manifest.outputs["c"]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output for N samples, stacked. Raises BadSamples."""
        count = sample_count(self.inputs, feeds)
        results: dict[str, list[np.ndarray]] = {port.name: [] for port in self.outputs}
        for i in range(count):
            self.infer([np.ascontiguousarray(feeds[port.name][i]).tobytes() for port in self.inputs])
            for index, port in enumerate(self.outputs):
                codes = np.frombuffer(self._dut.read_output(index), port.dtype)
                results[port.name].append(codes.reshape(port.shape[1:]))
        return {name: np.stack(samples) for name, samples in results.items()}

    def infer(self, inputs: list[bytes]) -> Inference:
        """One inference of these inputs, counted."""
        self._dut.load_codes(inputs)
        return self._dut.count()

    def bench_inputs(self) -> list[bytes]:
        """Of the first test vector, or zeros."""
        vectors = self._artifact.vectors
        return [(vectors[f"input/{port.name}"][0] if vectors else np.zeros(port.shape))
                .astype(port.dtype).tobytes() for port in self.inputs]
