"""Run a .tflite file in LiteRT on this machine."""

from collections.abc import Mapping
from importlib.metadata import version

import numpy as np

from toolchain.errors import BadModel
from toolchain.port import Port
from toolchain.runtime.feeds import sample_count

DISTRIBUTION = "ai-edge-litert"


class LiteRT:
    """One interpreter over a model's bytes.

    inputs, outputs:   in the file's order and layout, named by their tensors ("tensor_<index>" where unnamed)
    reference_kernels: TFLite's plain C++ kernels, the same on every CPU; else XNNPACK
    preserve_all:      keep every tensor's value for `tensors()`; then without XNNPACK, which fuses some away
    runtime:           name and version, for a measurement
    at_once:           samples that a caller with many feeds at a time, for their memory
    Raises BadModel where LiteRT does not take the bytes.
    """

    at_once = 32

    def __init__(self, model: bytes, *, threads: int = 1, reference_kernels: bool = False,
                 preserve_all: bool = False):
        self._preserve_all = preserve_all
        self._interpreter = _interpreter(model, threads, reference_kernels, preserve_all)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.runtime = f"{DISTRIBUTION} {version(DISTRIBUTION)}"
        self.inputs, self.outputs = tuple(map(_port, inputs)), tuple(map(_port, outputs))
        self._input_indexes = [detail["index"] for detail in inputs]
        self._output_indexes = [detail["index"] for detail in outputs]
        self._lent = self._lend_for_good()

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for one sample or N, stacked along axis 0. Raises BadSamples."""
        rows = [self._run_one(feeds, i) for i in range(sample_count(self.inputs, feeds))]
        names = [port.name for port in self.outputs]
        columns = map(np.concatenate, zip(*rows, strict=True))
        return dict(zip(names, columns, strict=True))

    def run_whole(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name of one run on feeds of the inputs' own shapes: read-only views of the interpreter's
        memory, which the next run overwrites. Raises BadModel where LiteRT gives up on the way."""
        try:
            self._invoke(feeds)
        except (ValueError, RuntimeError) as error:
            raise BadModel(f"LiteRT cannot run this model: {_one_line(error)}") from None
        return dict(self._lent or self._lend())

    def _lend_for_good(self) -> dict[str, np.ndarray]:
        """What `_lend` gives, before anything ran; empty where the size of an output is only known then, and
        its memory is another each time."""
        try:
            return self._lend()
        except ValueError:
            return {}

    def _lend(self) -> dict[str, np.ndarray]:
        return {port.name: np.asarray(_Lent(self._interpreter, index))
                for port, index in zip(self.outputs, self._output_indexes, strict=True)}

    def _run_one(self, feeds: Mapping[str, np.ndarray], sample: int) -> list[np.ndarray]:
        self._invoke({port.name: feeds[port.name][sample:sample + 1] for port in self.inputs})
        return [self._interpreter.get_tensor(index) for index in self._output_indexes]

    def _invoke(self, feeds: Mapping[str, np.ndarray]) -> None:
        for index, port in zip(self._input_indexes, self.inputs, strict=True):
            self._interpreter.set_tensor(index, feeds[port.name])
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()

    def tensors(self) -> dict[str, np.ndarray]:
        """Every named tensor's value after the last sample that ran; needs `preserve_all`."""
        if not self._preserve_all:
            raise ValueError("tensors() needs LiteRT(..., preserve_all=True)")
        return {detail["name"]: self._interpreter.get_tensor(detail["index"])
                for detail in self._interpreter.get_tensor_details() if detail["name"]}


class _Lent:
    """A tensor's memory for numpy to look at (NumPy's array interface), which keeps the interpreter alive.

    The interpreter's own views forbid it to run for as long as one of them is around.
    """

    def __init__(self, interpreter, index: int):
        self._interpreter = interpreter
        described = interpreter.tensor(index)().__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], True)}


def _interpreter(model: bytes, threads: int, reference_kernels: bool, preserve_all: bool):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.AUTO
    if reference_kernels:
        kernels = OpResolverType.BUILTIN_REF
    elif preserve_all:
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_content=bytes(model), num_threads=threads,
                                  experimental_op_resolver_type=kernels,
                                  experimental_preserve_all_tensors=preserve_all)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadModel(f"LiteRT does not take this model ({len(model):,} bytes): "
                       f"{_one_line(error)}") from None
    return interpreter


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _port(detail: dict) -> Port:
    params = detail["quantization_parameters"]
    scale, zero_point = None, None
    if len(params["scales"]) == 1:
        scale, zero_point = float(params["scales"][0]), int(params["zero_points"][0])
    return Port(detail["name"] or f"tensor_{detail['index']}", tuple(int(n) for n in detail["shape"]),
                np.dtype(detail["dtype"]).name, scale, zero_point)
