"""Runtimes: each has inputs, outputs, set_inputs(sample), invoke(), output_bytes(), maybe ops()."""

from importlib import import_module, metadata
import json
import os
import re

import numpy

from edge_runner.clock import raw_ns
from edge_runner.fail import INPUT, LIBRARY, MEMORY, MODEL, fail
from edge_runner.record import encoded

MOST_BYTES = 2**30
RUNTIMES = {"litert": ("ai_edge_litert.interpreter", "ai-edge-litert", "LiteRT"),
            "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime", "tflite-runtime"),
            "onnxruntime": ("onnxruntime", "onnxruntime", "ONNX Runtime")}
"""RUNTIME -> module, distribution, and what a record calls it."""


class Port:
    def __init__(self, name, dtype, shape):
        self.name, self.dtype = name, numpy.dtype(dtype)
        self.shape = tuple(size if isinstance(size, int) and size >= 0 else 1 for size in shape)
        self.bytes = self.dtype.itemsize
        for size in self.shape:
            self.bytes *= size
        if self.dtype.kind not in "fiub" or not 0 < self.bytes <= MOST_BYTES:
            fail(MODEL, f"tensor {name} is {self.dtype} {self.shape}, which this runner cannot feed")

    def words(self):
        return encoded(self.name), self.dtype.name, ",".join(map(str, self.shape)) or "-"


class Runtime:
    """What runtimes share. inputs, outputs: Ports in the model's order."""

    def arrays(self, sample):
        start = 0
        for port in self.inputs:
            count = port.bytes // port.dtype.itemsize
            value = numpy.frombuffer(sample, port.dtype, count, start)
            yield value.reshape(port.shape).copy()  # aligned
            start += port.bytes


class TFLite(Runtime):
    def __init__(self, module, model, options):
        self._interpreter = module.Interpreter(model_path=model, num_threads=options["threads"])
        self._interpreter.allocate_tensors()
        self._in, self._out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs, self.outputs = ([Port(d["name"], d["dtype"], map(int, d["shape"])) for d in details]
                                     for details in (self._in, self._out))
        self.invoke = self._interpreter.invoke

    def set_inputs(self, sample):
        for detail, value in zip(self._in, self.arrays(sample)):
            self._interpreter.set_tensor(detail["index"], value)

    def output_bytes(self):
        return b"".join(self._interpreter.get_tensor(detail["index"]).tobytes() for detail in self._out)


class OnnxRuntime(Runtime):
    """Set up as the toolchain's own session is."""

    DTYPES = {"float": "float32", "double": "float64", "string": "S"}

    def __init__(self, module, model, options, profile):
        settings = module.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = options["threads"], 1
        settings.enable_mem_pattern = False
        settings.log_severity_level = 4
        settings.add_session_config_entry("session.qdqisint8allowed", "1")
        settings.enable_profiling = profile
        if profile:
            settings.profile_file_prefix = options["scratch"] or fail(INPUT, "profile needs scratch=PATH")
        wrong = ["Pad_Fusion", "WeightBiasQuantization"]
        self._session = module.InferenceSession(model, settings, providers=["CPUExecutionProvider"],
                                                disabled_optimizers=wrong)
        self.inputs, self.outputs = ([self._port(value) for value in values]
                                     for values in (self._session.get_inputs(), self._session.get_outputs()))
        self._names = [port.name for port in self.outputs]

    def _port(self, value):
        kind = re.fullmatch(r"tensor\((\w+)\)", value.type)
        if not kind or any(not isinstance(size, int) for size in value.shape[1:]):
            fail(MODEL, f"tensor {value.name} is {value.type} {value.shape}, which this runner cannot feed")
        return Port(value.name, self.DTYPES.get(kind[1], kind[1]), value.shape)

    def set_inputs(self, sample):
        self._feeds = {port.name: value for port, value in zip(self.inputs, self.arrays(sample))}

    def invoke(self):
        self._results = self._session.run(self._names, self._feeds)

    def output_bytes(self):
        return b"".join(result.tobytes() for result in self._results)

    def ops(self):
        path, found = self._session.end_profiling(), {}
        with open(path, encoding="utf-8") as file:
            events = json.load(file)
        os.unlink(path)
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                index, kind = int(event["args"]["node_index"]), event["args"]["op_name"]
                op = found.setdefault(index, [kind, event["name"][:-len("_kernel_time")], 0, 0])
                op[2] += event["dur"] * 1000
                op[3] += 1
        return [(index, *op) for index, op in sorted(found.items())]


def load(word, model, options, profile=False):
    """A runtime with a model, and how long it took. The one that was asked for, or none."""
    if word not in RUNTIMES:
        fail(INPUT, f"no runtime {word} in this runner; there are {', '.join(RUNTIMES)}")
    name, distribution, title = RUNTIMES[word]
    try:
        module = import_module(name)
    except ImportError as error:
        there = [f"{d} {metadata.version(d)}" for _, d, _ in RUNTIMES.values() if _installed(d)]
        fail(LIBRARY, f"no {distribution} here ({error}); installed: {', '.join(there) or 'no runtime'}")
    if profile and word != "onnxruntime":
        fail(INPUT, f"{distribution} has no profiler in Python; the native runner of litert has")
    began = raw_ns()
    try:
        loaded = OnnxRuntime(module, model, options, profile) if word == "onnxruntime" \
            else TFLite(module, model, options)
    except MemoryError:
        fail(MEMORY, "no memory for the model")
    except Exception as error:
        fail(MODEL, f"{title}: {error}")
    loaded.load_ns = raw_ns() - began
    loaded.runtime = f"{title} {metadata.version(distribution)}"
    return loaded


def _installed(distribution):
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False
