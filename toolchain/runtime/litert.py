"""Run a .tflite file in LiteRT on this machine."""

from collections.abc import Mapping

import numpy as np

from toolchain.artifact import Port
from toolchain.errors import BadModel, BadSamples


class LiteRT:
    """One interpreter over a model's bytes.

    inputs, outputs: in the file's order and layout, named by their tensors ("tensor_<index>" where a file has no name)
    reference_kernels: TFLite's plain C++ kernels, the same on every CPU; else XNNPACK
    preserve_all:      keep every tensor's value for `tensors()`; then optimised kernels run without XNNPACK, which
                       would fuse some away
    Raises BadModel where LiteRT does not take the bytes.
    """

    def __init__(self, model: bytes, *, threads: int = 1, reference_kernels: bool = False,
                 preserve_all: bool = False):
        self._preserve_all = preserve_all
        self._interpreter = _interpreter(model, threads, reference_kernels, preserve_all)
        self._in, self._out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs, self.outputs = tuple(map(_port, self._in)), tuple(map(_port, self._out))

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name for one sample or N, stacked along axis 0. Raises BadSamples."""
        count = _checked_count(self.inputs, feeds)
        results: dict[str, list[np.ndarray]] = {port.name: [] for port in self.outputs}
        for i in range(count):
            for detail, port in zip(self._in, self.inputs, strict=True):
                self._interpreter.set_tensor(detail["index"], _sample(feeds[port.name], port, i))
            self._interpreter.invoke()
            for detail, port in zip(self._out, self.outputs, strict=True):
                results[port.name].append(self._interpreter.get_tensor(detail["index"]))
        return {name: np.concatenate(samples) for name, samples in results.items()}

    def tensors(self) -> dict[str, np.ndarray]:
        """Every named tensor's value after the last sample that ran, by name; needs `preserve_all`."""
        if not self._preserve_all:
            raise ValueError("tensors() needs LiteRT(..., preserve_all=True)")
        return {d["name"]: self._interpreter.get_tensor(d["index"])
                for d in self._interpreter.get_tensor_details() if d["name"]}


def _interpreter(model: bytes, threads: int, reference_kernels: bool, preserve_all: bool):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.AUTO
    if reference_kernels:
        kernels = OpResolverType.BUILTIN_REF
    elif preserve_all:
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_content=bytes(model), num_threads=threads, experimental_op_resolver_type=kernels,
                                  experimental_preserve_all_tensors=preserve_all)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadModel(f"LiteRT does not take this model ({len(model):,} bytes): {_one_line(error)}") from None
    return interpreter


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _name(detail: dict) -> str:
    return detail["name"] or f"tensor_{detail['index']}"


def _port(detail: dict) -> Port:
    params = detail["quantization_parameters"]
    per_tensor = len(params["scales"]) == 1
    return Port(_name(detail), tuple(int(n) for n in detail["shape"]), np.dtype(detail["dtype"]).name,
                float(params["scales"][0]) if per_tensor else None,
                int(params["zero_points"][0]) if per_tensor else None)


def _checked_count(ports: tuple[Port, ...], feeds: Mapping[str, np.ndarray]) -> int:
    """How many samples `feeds` holds. Raises BadSamples naming the input, what came and what it takes."""
    names = {port.name for port in ports}
    if set(feeds) != names:
        raise BadSamples(f"the model's inputs are {', '.join(sorted(names))}; got {', '.join(sorted(feeds)) or 'none'}")
    for port in ports:
        shape, dtype = np.shape(feeds[port.name]), feeds[port.name].dtype.name
        if shape[1:] != port.shape[1:] or len(shape) != len(port.shape) or dtype != port.dtype:
            raise BadSamples(f"input '{port.name}': got {dtype} {shape}, expected {port.dtype} "
                             f"{('N', *port.shape[1:])}")
    counts = {port.name: len(feeds[port.name]) for port in ports}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise BadSamples(f"inputs must hold the same number of samples, at least one; got {counts}")
    return next(iter(counts.values()))


def _sample(array: np.ndarray, port: Port, index: int) -> np.ndarray:
    return np.ascontiguousarray(array[index:index + 1]).reshape(port.shape)
