"""Run a .onnx file in ONNX Runtime on this machine."""

from collections.abc import Mapping
from importlib.metadata import version
import json

import numpy as np

from toolchain.errors import BadModel
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count

DISTRIBUTION = "onnxruntime"
DTYPE = {"float": "float32", "double": "float64"}
"""ONNX's name of an element type -> numpy's, where they differ."""
WRONG = ("Pad_Fusion", "WeightBiasQuantization")
"""Optimizers that change what a model computes: from 1.20 to 1.31 the first makes a Pad's zeros a MaxPool's
-inf; the second quantizes weights that a model has in float."""
PERMUTATIONS = "edge.permutations"
"""Metadata entry of the files that we write: JSON, name -> axes."""


class OnnxRuntime:
    """One CPU session over a model's bytes.

    inputs, outputs: in the file's order and layout; a symbolic batch (axis 0) is bound to 1
    permutations:    of a file that we wrote: name -> axes such that the Graph's value = the file's value
                     transposed by them, for inputs and outputs that differ
    runtime:         name and version, for a measurement
    at_once:         samples that a caller with many feeds at a time, for their memory
    Raises BadModel where ONNX Runtime does not take the bytes or another axis than the batch is symbolic.
    """

    at_once = 32

    def __init__(self, model: bytes):
        self._session = _session(model)
        self.runtime = f"{DISTRIBUTION} {version(DISTRIBUTION)}"
        self.inputs = tuple(map(_port, self._session.get_inputs()))
        self.outputs = tuple(map(_port, self._session.get_outputs()))
        self.permutations = _permutations(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for one sample or N, stacked along axis 0.

        Raises BadSamples, or BadModel where ONNX Runtime gives up on the way.
        """
        rows = [self.run_whole({name: value[i:i + 1] for name, value in feeds.items()})
                for i in range(sample_count(self.inputs, feeds))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def run_whole(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name of one run on feeds of the inputs' own shapes. Raises BadModel, as `run` does."""
        names = [port.name for port in self.outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # its classes share no base but Exception
            raise BadModel(f"ONNX Runtime cannot run this model: {_one_line(error)}") from None


def _session(model: bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it takes 5 % more memory in calibration and speeds nothing up
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # S8S8, the form for Arm, gets integer kernels on x86 too: a file is judged here as it runs there
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.log_severity_level = 4  # fatal: an error comes as an exception, once
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(bytes(model), options, providers=["CPUExecutionProvider"],
                                            disabled_optimizers=list(WRONG))
    except Exception as error:  # its classes share no base but Exception
        raise BadModel(f"ONNX Runtime does not take this model ({len(model):,} bytes): "
                       f"{_one_line(error)}") from None


def _permutations(metadata: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    try:
        return {name: tuple(axes) for name, axes in json.loads(metadata.get(PERMUTATIONS, "{}")).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise BadModel(f"metadata entry {PERMUTATIONS} is damaged: {error}; build the file again") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _port(arg) -> Port:
    batch, *rest = arg.shape or (1,)
    if symbolic := [axis for axis, n in enumerate(rest, 1) if not isinstance(n, int)]:
        raise BadModel(f"{arg.name}: axes {symbolic} of {arg.shape} have no fixed size; export it with one")
    element = arg.type.removeprefix("tensor(").removesuffix(")")
    return Port(arg.name, (batch if isinstance(batch, int) else 1, *rest), DTYPE.get(element, element))
