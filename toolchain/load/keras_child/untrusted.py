"""What a file could make Keras or TensorFlow do besides arithmetic: found before it is loaded.

Keras' safe mode alone has not held: it once skipped .h5 files (CVE-2025-9905), imported what a config named
(CVE-2025-1550) and read files that a layer named (CVE-2025-12058). A SavedModel is a program of TensorFlow
ops, which read and write files as they like (TensorFlow's SECURITY.md).
"""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import zipfile

MAX_BYTES = 2 << 30
"""Of all weights: a .tflite file cannot hold more (its offsets are 32-bit)."""

ARCHIVE = {"config.json", "metadata.json", "model.weights.h5"}
"""What a .keras archive may hold; assets are files that layers read."""
OWN_MODULE = re.compile(r"(tf_)?keras(\.src)?\.(activations|constraints|dtype_policies|engine|initializers|"
                        r"layers|mixed_precision|models|ops|regularizers)(\.\w+)*")
OWN_CLASS = {"DTypePolicy", "Functional", "Model", "Sequential"}
"""Of the module "keras" itself."""
CODE = {"Lambda": "its Python code", "__lambda__": "its Python code", "TorchModuleWrapper": "a pickle",
        "JaxLayer": "a program", "FlaxLayer": "a program", "TFSMLayer": "another file",
        "TensorFlowOpLayer": "a TensorFlow op",
        "StringLookup": "a file of words", "IntegerLookup": "a file of words",
        "TextVectorization": "a file of words"}
"""Class -> what it brings along or reads."""
TF_SYMBOL = re.compile(r"(math|nn|linalg|image|__operators__)(\.\w+)+|abs|add|argmax|broadcast_to|cast|"
                       "clip_by_value|concat|divide|exp|expand_dims|gather|matmul|maximum|minimum|multiply|"
                       "negative|ones_like|pad|pow|reduce_\\w+|repeat|reshape|reverse|round|shape|sigmoid|slice|"
                       "split|sqrt|square|squeeze|stack|strided_slice|subtract|tanh|tile|transpose|unstack|"
                       "where|zeros_like")
"""What a Keras 2 layer that calls TensorFlow's API by name may call."""
EXPORT = "where you trust it, load it in Keras and export a SavedModel: model.export('FOLDER')"

STATEFUL = {
    "Assert", "AssignAddVariableOp", "AssignSubVariableOp", "AssignVariableOp", "Case", "CheckNumerics",
    "CudnnRNN", "CudnnRNNBackprop", "CudnnRNNBackpropV2", "CudnnRNNBackpropV3", "CudnnRNNV2", "CudnnRNNV3",
    "DisableCopyOnRead", "Empty", "GuaranteeConst", "If", "RandomShuffle", "RandomStandardNormal",
    "RandomUniform", "RandomUniformInt", "ReadVariableOp", "ResourceGather", "ResourceGatherNd",
    "RngReadAndSkip", "StatefulPartitionedCall", "StatelessRandomGetAlg", "TruncatedNormal", "VarHandleOp",
    "VarIsInitializedOp", "VariableShape", "While"}
"""Stateful ops that touch nothing but variables and random numbers."""
STATELESS = re.compile("Abort|BatchFunction|Copy.*|Debug.*|GenerateVocabRemapping|ImmutableConst|.*Custom.*|"
                       "InitializeTable.*|Lookup.*|MatchingFiles|MlirPassthroughOp|PyFuncStateless|Queue.*|"
                       "ReadFile|Reader.*|.*Dataset.*|.*Reader")
"""Ops that TensorFlow registers as stateless but that reach files, other code or other threads."""


class Refused(Exception):
    """A file that holds what is not run or has no row; `items`: one line each."""

    def __init__(self, *items: str):
        super().__init__("; ".join(items))
        self.items = items


class Damaged(Exception):
    """A file that is not what its name says."""


def check(path: Path) -> None:
    """A .keras, .h5 or .hdf5 file or a SavedModel's folder. Raises Damaged, Refused."""
    if path.is_dir():
        check_saved_model(path)
    elif path.suffix == ".keras":
        check_archive(path)
    else:
        check_hdf5(path)


def check_archive(path: Path) -> None:
    """A .keras file: a zip with a JSON config and HDF5 weights. Raises Damaged, Refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            check_config(_parsed(archive.read("config.json")))
            with archive.open("model.weights.h5") as weights:
                _check_datasets(weights)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise Damaged(f"is not a .keras archive: {error}; save it again") from None


def check_hdf5(path: Path) -> None:
    """A .h5 file with the whole model. Raises Damaged, Refused."""
    _check_datasets(path)
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
    if config is None:
        raise Damaged("holds weights but no model; save the whole model: model.save('MODEL.keras')")
    check_config(_parsed(config))


def check_config(config: object) -> None:
    """Raises Refused, listing every object in a model's config that is not plainly Keras' own."""
    if not isinstance(config, dict):
        raise Damaged("its model config is not a JSON object; save it again")
    found: dict[str, str] = {}
    for place, node in _objects({**config, "compile_config": None}):
        if problem := _object_problem(node):
            found.setdefault(place, f"'{place}': {problem}")
    if found:
        raise Refused(*found.values())


def _check_members(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if other := sorted({member.filename for member in members} - ARCHIVE):
        only = ", ".join(sorted(ARCHIVE))
        raise Refused(*(f"{name!r} in the archive: only {only} are read" for name in other))
    if (size := sum(member.file_size for member in members)) > MAX_BYTES:
        raise Refused(f"{size:,} bytes when unpacked; a .tflite file holds at most {MAX_BYTES:,}")


def _parsed(text: bytes | str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its model config is not JSON: {error}; save it again") from None


def _objects(config: dict) -> Iterator[tuple[str, dict]]:
    """(Name of what it stands in, every dict with a class); without recursion, as depth is the file's."""
    stack: list[tuple[str, object]] = [("the model", config)]
    while stack:
        place, node = stack.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                inner = node.get("config")
                place = inner.get("name", place) if isinstance(inner, dict) else place
                yield str(place), node
            stack += [(place, value) for value in reversed(node.values())]
        elif isinstance(node, list):
            stack += [(place, value) for value in reversed(node)]


def _object_problem(node: dict) -> str | None:
    """Keras 2 and marks such as "__tuple__" name no module; the module of a script's own class is None."""
    kind, module = str(node["class_name"]), node.get("module", "keras.layers")
    if kind in ("SlicingOpLambda", "TFOpLambda"):
        config = node.get("config")
        symbol = config.get("function") if isinstance(config, dict) else None
        return None if TF_SYMBOL.fullmatch(str(symbol)) else f"tf.{symbol} is not called: it may reach files"
    if kind in CODE:
        return f"{kind} brings {CODE[kind]} along, which is not run or read; {EXPORT}"
    known = (OWN_MODULE.fullmatch(str(module)) or (module == "builtins" and kind == "function")
             or (module in ("keras", "tf_keras") and kind in OWN_CLASS))
    if not known or ">" in str(node.get("registered_name")) or kind == "__typespec__":
        return f"{kind} (module {module}) is not Keras' own, and its code is not in the file; {EXPORT}"
    return None


def _check_datasets(file) -> None:
    """HDF5 weights that lie in this file: links and datasets can name others. Raises Damaged, Refused."""
    import h5py

    found, size = [], 0

    def visit(name: str, link) -> None:
        nonlocal size
        if isinstance(link, h5py.ExternalLink):
            found.append(f"'{name}' is in another file, {link.filename!r}; save it as one file")
        elif isinstance(item := opened.get(name, default=None), h5py.Dataset):
            size += item.nbytes
            if item.external or item.is_virtual:
                found.append(f"the data of '{name}' is in another file; save it as one file")

    try:
        with h5py.File(file, "r") as opened:
            opened.visititems_links(visit)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise Damaged(f"is not an HDF5 file that can be read: {error}; save it again") from None
    if size > MAX_BYTES:
        found.append(f"{size:,} bytes of weights; a .tflite file holds at most {MAX_BYTES:,}")
    if found:
        raise Refused(*found)


def check_saved_model(folder: Path) -> None:
    """The functions of a TensorFlow 2 SavedModel. Raises Damaged, Refused listing ops that are no arithmetic.

    The top-level graph is not run by TensorFlow 2's loader, nor are the functions that only its saver calls.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    try:
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise Damaged(f"its saved_model.pb cannot be read: {error}; save it again") from None
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].HasField("object_graph_def"):
        raise Refused("it is not a SavedModel of TensorFlow 2; save it again with tf.saved_model.save")
    graph = saved.meta_graphs[0]
    savers, ops = _savers(graph), {}
    for function in graph.graph_def.library.function:
        if function.signature.name not in savers:
            ops.update((node.op, function.signature.name) for node in function.node_def)
    own = {function.signature.name for function in graph.graph_def.library.function}
    found = [f"op {op} in {place}: not run, as it reaches files, other code or other processes"
             for op, place in sorted(ops.items())
             if op not in own and not _is_arithmetic(op, op_def_registry.get(op))]
    if found:
        raise Refused(*found)


def _is_arithmetic(op: str, row) -> bool:
    """Whether an op touches nothing but tensors, variables and random numbers; row: TensorFlow's or None."""
    if row is None:
        return False
    return op in STATEFUL if row.is_stateful else not STATELESS.fullmatch(op)


def _savers(graph) -> set[str]:
    """Functions that save and restore checkpoints, and that nothing else can call."""
    saver, nodes = graph.saver_def, graph.graph_def.node
    named = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    called = {name for node in nodes if node.name in named for name in _calls(node)}
    others = [node for node in nodes if node.name not in named]
    others += [node for function in graph.graph_def.library.function for node in function.node_def]
    called.difference_update(name for node in others for name in _calls(node))
    return called - {node.op for node in others} - set(graph.object_graph_def.concrete_functions)


def _calls(node) -> Iterator[str]:
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)
