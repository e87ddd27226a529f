"""Small .onnx files made by hand, as exporters of different years write them."""

from collections.abc import Mapping, Sequence
import random

from google.protobuf.message import DecodeError
import numpy as np
from onnx import NodeProto, TensorProto, helper, load_from_string, numpy_helper

from toolchain.ir.check import check
from toolchain.ir.graph import Graph, Tensor
from toolchain.load.onnx import load_onnx
from toolchain.runtime import reference
from toolchain.runtime.onnxruntime import OnnxRuntime

Constants = Mapping[str, np.ndarray]
IMAGE, SEQUENCE, ROWS = (1, 6, 9, 8), (1, 6, 11), (1, 10)


def value(name: str, shape, dtype: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes: Sequence[NodeProto], inputs: Mapping[str, tuple], constants: Constants | None = None,
             outputs=("y",), opset: int = 17, dtypes: Mapping[str, int] | None = None) -> bytes:
    """inputs: name -> shape;  dtypes: of values that are not float32. The outputs' shapes are left open."""
    types = dtypes or {}
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", [value(name, *typed) for name, *typed in _typed(inputs, types)],
                              [value(name, *typed) for name, *typed in _typed(dict.fromkeys(outputs), types)],
                              arrays)
    domains = {"": opset, **{node.domain: 1 for node in nodes if node.domain}}
    imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return model.SerializeToString()


def _typed(shapes: Mapping[str, tuple | None], dtypes: Mapping[str, int]):
    return ((name, shape, dtypes.get(name, TensorProto.FLOAT)) for name, shape in shapes.items())


def node(op: str, inputs: str, output: str, name: str = "", **attrs) -> NodeProto:
    """inputs: names, with spaces between"""
    return helper.make_node(op, inputs.split(), [output], name=name, **attrs)


def single(op: str, shape: tuple, *operands, opset: int = 17, dtypes=None, **attrs) -> bytes:
    """One node on input x; operands: arrays for its other inputs, None for one that is left out."""
    names = ["" if array is None else f"c{i}" for i, array in enumerate(operands)]
    constants = {name: array for name, array in zip(names, operands) if name}
    made = helper.make_node(op, ["x", *names], ["y"], **attrs)
    return model_of([made], {"x": shape}, constants, opset=opset, dtypes=dtypes)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def by_ops(parameter: bytes | str) -> str:
    """Test id of a model: what it holds."""
    try:
        model = load_from_string(parameter)
    except (DecodeError, TypeError):
        return ""
    return "-".join(node.op_type for node in model.graph.node)


def changed_bytes(model: bytes, rng: random.Random) -> bytes:
    """One to three bytes changed; sometimes a piece dropped, or the end cut off."""
    changed = bytearray(model)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.2:
        at = rng.randrange(len(changed))
        del changed[at:at + rng.choice([1, 8, len(changed)])]
    return bytes(changed)


def changed_fields(model: bytes, rng: random.Random) -> bytes:
    """A well-formed file of which one or two fields say something else."""
    proto = load_from_string(model)
    graph = proto.graph
    numbers = (0, 1, 2, 3, -1, -9, 100, 2**31, 2**62)
    for _ in range(rng.randint(1, 2)):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        match rng.randrange(7):
            case 0:
                node.op_type = rng.choice(["Gemm", "Concat", "Slice", "Add", "Softmax", "If", "HardSwish"])
            case 1:
                node.input[rng.randrange(len(node.input))] = rng.choice(graph.node).output[0]
            case 2:
                del node.input[-1]
            case 3 if tensor.dims:
                tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(numbers)
            case 4:
                tensor.data_type = rng.randrange(30)
            case 5:
                rng.choice(graph.input[0].type.tensor_type.shape.dim).dim_value = rng.choice(numbers)
            case _:
                for attribute in node.attribute:
                    attribute.i = rng.choice(numbers)
                    attribute.ints[:1] = [rng.choice(numbers)] * len(attribute.ints[:1])
    return proto.SerializeToString()


def assert_as_onnx_runtime(model: bytes) -> Graph:
    """Two samples through the door's graph and the model itself; returns the literal graph."""
    graph = check(load_onnx(model, "net"), "FLOAT")
    rng = np.random.default_rng(1)
    feeds = {name: drawn(rng, graph.tensors[name]) for name in graph.inputs}
    expected, got = OnnxRuntime(model).run(feeds), reference.run(graph, feeds)
    assert set(got) == set(expected)
    for name, y in expected.items():
        assert (got[name].shape, got[name].dtype) == (y.shape, y.dtype)
        apart = np.abs(got[name].astype(np.float64) - y)
        assert apart.max() <= 1e-5 * max(1, np.abs(y).max()), name
    return graph


def drawn(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    """Two samples: normal numbers, whole ones from 0 to 3, or truth values."""
    shape = (2, *tensor.shape[1:])
    if tensor.dtype == "float32":
        return 3 * rng.standard_normal(shape, np.float32)
    return rng.integers(0, 2 if tensor.dtype == "bool" else 4, shape).astype(tensor.dtype)
