"""Composites of a .tflite file: replaced by the subgraph that they name, or refused by name."""

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
import numpy as np
import pytest

from toolchain.errors import BadModel, Unsupported
from toolchain.load import load
from toolchain.load.tflite import load_tflite
from toolchain.load.tflite_schema import packed
from toolchain.runtime.litert import LiteRT

NOTHING = bytes(flexbuffers.Dumps({}))
MUL, ADD, CUSTOM, COMPOSITE = 18, 0, 32, 206


def tensors(*names: str) -> list[schema.TensorT]:
    return [schema.TensorT(name=name, shape=np.int32([1, 4]), buffer=1 if name == "two" else 0)
            for name in names]


def operator(code: int, inputs, outputs) -> schema.OperatorT:
    return schema.OperatorT(code, np.int32(inputs), np.int32(outputs))


def composite(inputs, outputs, subgraph: int, name: str = "odml.twice") -> schema.OperatorT:
    made = operator(2, inputs, outputs)
    made.builtinOptions2Type = schema.BuiltinOptions2.StableHLOCompositeOptions
    made.builtinOptions2 = schema.StableHLOCompositeOptionsT(
        name=name, decompositionSubgraphIndex=subgraph, compositeAttributes=np.frombuffer(NOTHING, np.uint8))
    return made


def graph(names: str, ops, inputs, outputs) -> schema.SubGraphT:
    return schema.SubGraphT(tensors=tensors(*names.split()), operators=ops, inputs=np.int32(inputs),
                            outputs=np.int32(outputs))


def file_of(*graphs: schema.SubGraphT) -> bytes:
    codes = [schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1,
                                  customCode="Vendor" if code == CUSTOM else None)
             for code in (MUL, ADD, COMPOSITE, CUSTOM)]
    two = np.frombuffer(np.full(4, 2, "<f4").tobytes(), np.uint8)
    return packed(schema.ModelT(version=3, subgraphs=list(graphs), operatorCodes=codes,
                                buffers=[schema.BufferT(), schema.BufferT(data=two)]))


def twice_and_more() -> bytes:
    """y = twice(x) + x, z = the x that the composite hands on; twice is a composite of its own."""
    main = graph("x t z y", [composite([0], [1, 2], 1), operator(1, [1, 0], [3])], [0], [3, 2])
    outer = graph("a b", [composite([0], [1], 2)], [0], [1, 0])
    inner = graph("a b two", [operator(0, [0, 2], [1])], [0], [1])
    return file_of(main, outer, inner)


@pytest.mark.oracle
def test_composites_of_composites_are_put_in_place(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(twice_and_more())
    found = load(path)
    assert [op.kind for op in found.ops] == ["mul", "add", "reshape"]
    assert "t/b/two" in found.tensors and found.source.worst_error == 0
    feeds = {"x": np.float32([[1, 2, 3, 4]])}
    assert np.array_equal(LiteRT(twice_and_more()).run(feeds)["y"], 3 * feeds["x"])


def test_what_holds_an_unknown_operator_is_refused_by_name():
    main = graph("x y", [composite([0], [1], 1, "odml.rotary")], [0], [1])
    body = graph("a b", [operator(3, [0], [1])], [0], [1])
    with pytest.raises(Unsupported, match=r"op 0 STABLEHLO_COMPOSITE odml.rotary 'y': no row"):
        load_tflite(file_of(main, body), "net")


def test_a_composite_of_itself_is_refused():
    main = graph("x y", [composite([0], [1], 1)], [0], [1])
    body = graph("a b", [composite([0], [1], 1)], [0], [1])
    with pytest.raises(Unsupported, match=r"STABLEHLO_COMPOSITE odml.twice 'y': no row"):
        load_tflite(file_of(main, body), "net")


def test_a_file_that_doubles_with_every_composite_is_refused():
    """30 subgraphs, each twice in the one before: 2**30 operators, if nothing counted."""
    graphs = [graph("a b c", [composite([0], [1], i + 1), composite([1], [2], i + 1)], [0], [2])
              for i in range(30)]
    last = graph("a b", [operator(1, [0, 0], [1])], [0], [1])
    with pytest.raises((BadModel, Unsupported)):
        load_tflite(file_of(*graphs, last), "net")


@pytest.mark.parametrize("made, message", [
    (composite([0], [1], 7), "it holds no subgraph 7"),
    (composite([0], [1], 1), r"its subgraph \(0, 1\) and \(2,\)"),
    (operator(2, [0], [1]), "op 0 STABLEHLO_COMPOSITE has no options")], ids=["missing", "ports", "options"])
def test_contradictions_are_named(made, message):
    main = graph("x y", [made], [0], [1])
    body = graph("a b c", [operator(1, [0, 1], [2])], [0, 1], [2])
    with pytest.raises(BadModel, match=message):
        load_tflite(file_of(main, body), "net")
