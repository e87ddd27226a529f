"""What torch.export.save writes: an archive with the program as JSON and its tensors as raw bytes.

Read here and not by torch.export.load, which runs pickles and expressions that an archive holds: here only
the names of ATen calls in the op table become calls, and no pickle is opened. Format: torch/_export/serde/
schema.py and torch/export/pt2_archive of PyTorch 2.13, schema version 8.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import io
import json
import operator
import re
import zipfile

import torch

from toolchain.errors import BadModel, ToolchainError, Unsupported
from toolchain.load.aten import CONSTANTS, IDENTITY, OF_SHAPE, RULES
from toolchain.load.torch_program import ASSERTS, Program, leaf_names

SCHEMA = 8
DTYPES = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
          7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16}
MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
CALLS = {*RULES, *IDENTITY, *OF_SHAPE, *CONSTANTS, *ASSERTS, "sym_size"}
"""ATen calls that an archive may name; each may also stand in its in-place form."""
NUMBERS = {name: getattr(operator, name) for name in (
    "add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "getitem")}
"""Python's operators, on sizes."""
MALFORMED = (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError, RecursionError,
             NotImplementedError, zipfile.BadZipFile, EOFError, OverflowError, AssertionError, MemoryError)


def read_archive(archive: bytes, name: str) -> Program:
    """The program of a .pt2 file. Runs nothing.

    Raises BadModel for a file that is not one, or malformed; Unsupported listing calls that have no row.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return _Reader(_Files(opened, name), name).program()
    except ToolchainError:
        raise
    except MALFORMED as error:
        line = (str(error).strip().splitlines() or [""])[0]
        raise BadModel(f"{name}: not a whole program of torch.export.save: {type(error).__name__}: {line}; "
                       f"save it again") from error


class _Files:
    """The members of an archive, all in one folder; stored as they are, so that none can blow up."""

    def __init__(self, opened: zipfile.ZipFile, name: str):
        self.opened = opened
        self.members = {info.filename.partition("/")[2]: info for info in opened.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in opened.infolist()):
            raise BadModel(f"{name}: holds compressed members, which torch.export.save never writes")

    def __getitem__(self, member: str) -> bytes:
        return self.opened.read(self.members[member])


@dataclass(frozen=True)
class _Stored:
    """A tensor's bytes: file in its folder, torch's tensor_meta."""

    file: str
    meta: Mapping


class _Reader:
    """Makes calls of the JSON, one node after the other."""

    def __init__(self, files: _Files, name: str):
        self.files, self.name = files, name
        models = [member for member in files.members if re.fullmatch(r"models/[^/]+\.json", member)]
        if len(models) != 1:
            raise BadModel(f"{name}: holds {len(models)} programs of torch.export.save, not one; save it "
                           f"with torch 2.8 or newer")
        self.model = models[0].removeprefix("models/").removesuffix(".json")
        document = json.loads(files[models[0]])
        major = document["schema_version"]["major"]
        if major != SCHEMA:
            raise Unsupported(f"{name}: has schema version {major}; version {SCHEMA} has a reader: save it "
                              f"with torch {torch.__version__.partition('+')[0]}")
        self.module = document["graph_module"]
        self.graph, self.nodes = torch.fx.Graph(), {}

    def program(self) -> Program:
        described = self.module["graph"]
        self.require_known(described["nodes"])
        for argument in described["inputs"]:
            for named in argument.values():
                if isinstance(named, Mapping) and "name" in named:
                    self.add(named["name"], self.graph.placeholder(named["name"]))
        for node in described["nodes"]:
            self.add_call(node)
        specs = [item for spec in self.module["signature"]["input_specs"] for item in spec.items()]
        held = {key: (path, self.tensor(stored)) for key, path, stored in self.stored(specs)}
        results = self.results()
        self.graph.output(tuple(node for _, node in results))
        return Program(self.graph, held, self.inputs(specs, described["tensor_values"]), results)

    def add(self, name: str, node: torch.fx.Node) -> None:
        if name in self.nodes:
            raise ValueError(f"{name} is given twice")
        self.nodes[name] = node

    def require_known(self, nodes: list[Mapping]) -> None:
        wrong = [f"{node['target']} at {_where(node)}: no row in the op table"
                 for node in nodes if _target(node["target"]) is None]
        if wrong:
            raise Unsupported.listing(self.name, wrong)

    def add_call(self, described: Mapping) -> None:
        target = _target(described["target"])
        args = tuple(self.value(i["arg"]) for i in described["inputs"] if i.get("kind") != 2)
        kwargs = {i["name"]: self.value(i["arg"]) for i in described["inputs"] if i.get("kind") == 2}
        if hasattr(target, "_schema"):  # what has no kind is told apart by the schema
            known = [a.name for a in target._schema.arguments if not a.kwarg_only]
            given = {i["name"]: self.value(i["arg"]) for i in described["inputs"]}
            args, kwargs = _in_order(known, given)
        node = self.graph.call_function(target, args, kwargs)
        node.meta["nn_module_stack"] = dict(_stack(described["metadata"].get("nn_module_stack", "")))
        names = list(_names(described["outputs"]))
        several = len(described["outputs"]) > 1 or any("as_tensors" in o for o in described["outputs"])
        if not several:
            for name in names:
                self.add(name, node)
            return
        for number, name in enumerate(names):
            if name:
                part = self.graph.call_function(operator.getitem, (node, number))
                part.meta["nn_module_stack"] = node.meta["nn_module_stack"]
                self.add(name, part)

    def value(self, argument: Mapping):
        """What an argument stands for; nodes by their names."""
        (kind, value), = argument.items()
        if kind == "as_none":
            return None
        if kind in ("as_tensor", "as_optional_tensor"):
            return self.nodes[value["name"]] if "name" in value else self.value(value)
        if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints", "as_sym_floats"):
            return [self.nodes[v["name"]] if "name" in v else self.value(v) for v in value]
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            return self.value(value)
        if kind == "as_name":
            return self.nodes[value]
        return PLAIN[kind](value)

    def stored(self, specs) -> Iterator[tuple[str, str, _Stored]]:
        """(placeholder, path in the module, its bytes) of parameters, buffers and constants."""
        weights, constants = (self.config(kind) for kind in ("weights", "constants"))
        for kind, spec in specs:
            if kind in ("parameter", "buffer", "tensor_constant"):
                path = spec[f"{kind}_name"]
                persistent = kind == "parameter" or spec.get("persistent", False)
                table, folder = (weights, "weights") if persistent else (constants, "constants")
                payload = table[path]
                if payload["use_pickle"]:
                    raise Unsupported(f"{self.name}: {path} is pickled, and a pickle can run foreign code; "
                                      f"make it a plain tensor and save again")
                yield spec["arg"]["name"], path, _Stored(f"data/{folder}/{payload['path_name']}",
                                                         payload["tensor_meta"])
            elif kind in ("custom_obj", "token"):
                raise Unsupported(f"{self.name}: holds a {kind}, which has no row; only tensors have")

    def config(self, kind: str) -> Mapping:
        return json.loads(self.files[f"data/{kind}/{self.model}_{kind}_config.json"])["config"]

    def tensor(self, stored: _Stored) -> torch.Tensor:
        meta, raw = stored.meta, bytearray(self.files[stored.file])
        dtype = DTYPES[meta["dtype"]]
        sizes, strides = (tuple(n["as_int"] for n in meta[key]) for key in ("sizes", "strides"))
        if not all(isinstance(n, int) and n >= 0 for n in (*sizes, *strides)):
            raise ValueError(f"{stored.file} has sizes {sizes} and strides {strides}")
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.zeros(0, dtype=dtype)
        return torch.as_strided(flat, sizes, strides, meta["storage_offset"]["as_int"]).clone()

    def inputs(self, specs, values: Mapping) -> dict[str, tuple[tuple[int | str, ...], torch.dtype]]:
        names = [spec["arg"]["as_tensor"]["name"] for kind, spec in specs
                 if kind == "user_input" and "as_tensor" in spec["arg"]]
        return {name: (tuple(n.get("as_int", "open") for n in values[name]["sizes"]),
                       DTYPES[values[name]["dtype"]]) for name in names}

    def results(self) -> tuple[tuple[str, torch.fx.Node], ...]:
        """What the program gives its user, named by the keys of the tree that it gives."""
        given = [spec["user_output"]["arg"] for spec in self.module["signature"]["output_specs"]
                 if "user_output" in spec]
        calls = {call["fqn"]: call["signature"] for call in self.module["module_call_graph"]}
        names = leaf_names(json.loads(calls[""]["out_spec"])[1]) if calls.get("") else [""] * len(given)
        return tuple((name, self.nodes[argument["as_tensor"]["name"]])
                     for name, argument in zip(names, given) if "as_tensor" in argument)


def _target(name: str):
    """The call of this name, None where it has no row. Nothing else is ever looked up."""
    if match := ATEN.fullmatch(name):
        op, overload = match.groups()
        if op in CALLS or op.removesuffix("_") in CALLS:
            packet = getattr(torch.ops.aten, op, None)
            found = getattr(packet, overload, None)
            return found if isinstance(found, torch._ops.OpOverload) else None
        return None
    return NUMBERS.get(name.removeprefix("_operator.")) if name.startswith("_operator.") else None


def _in_order(known: list[str], given: dict[str, object]) -> tuple[tuple, dict[str, object]]:
    """Arguments by position as far as they go without a gap, the rest by keyword."""
    args = []
    for name in known:
        if name not in given:
            break
        args.append(given.pop(name))
    return tuple(args), given


def _names(outputs: list[Mapping]) -> Iterator[str]:
    """Of what a node gives, one after the other; "" for what it does not."""
    for output in outputs:
        (kind, value), = output.items()
        if kind == "as_tensors":
            yield from (part["name"] for part in value)
        elif kind == "as_none":
            yield ""
        else:
            yield value.get("name") or value.get("as_name") or ""


def _stack(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(key, (path, class)) of each module that the call is inside of, the outermost first."""
    for entry in filter(None, text.split(";")):
        key, path, kind = (*entry.split(",", 2), "", "")[:3]
        if not key.startswith("_empty_nn_module_stack"):
            yield key, (path, kind)


def _where(node: Mapping) -> str:
    paths = [path for _, (path, _) in _stack(node.get("metadata", {}).get("nn_module_stack", ""))]
    return (paths or [""])[-1] or "the top level"


PLAIN = {
    "as_int": int, "as_float": float, "as_bool": bool, "as_string": str,
    "as_ints": list, "as_floats": list, "as_bools": list, "as_strings": list,
    "as_scalar_type": DTYPES.__getitem__, "as_memory_format": MEMORY_FORMATS.get,
    "as_layout": lambda value: torch.strided, "as_device": lambda value: torch.device("cpu"),
}
"""Kind of argument -> (its JSON) -> the value."""
