"""Checkpoints: tensors by name, put into a module. Nothing in the file is run.

Format of .safetensors: https://github.com/huggingface/safetensors#format
"""

from collections.abc import Mapping
import difflib
import io
import json
import math
from pathlib import Path
import pickle
import pickletools
import re
import warnings
import zipfile

import torch

from toolchain.errors import BadInput, BadModel, Unsupported

NESTED = ("state_dict", "model_state_dict", "model", "net", "ema", "params", "weights")
"""Keys under which trainers put the tensors."""
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""
SHOWN = 5
"""Names in an error; the rest is counted."""
PLAIN_GLOBALS = ("torch._utils _rebuild", "torch ", "collections OrderedDict", "torch.serialization ",
                 "torch.storage ", "numpy", "_codecs encode")
TORCHSCRIPT = "TorchScript, which is a network as code"
PROGRAM = "a program of torch.export.save"
SAFETENSORS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
               "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
               "U8": torch.uint8, "BOOL": torch.bool}
FOREIGN = re.compile(r"GLOBAL ([\w.]+) was not an allowed")
"""How torch.load(weights_only=True) names what a file asks for."""


def fill(module: torch.nn.Module, path: Path) -> tuple[str, ...]:
    """Put the checkpoint's tensors into the module, all of them; what was unwrapped on the way, in words.

    Raises BadModel for a file that is no checkpoint, Unsupported for one that would run foreign code,
    BadInput listing names and shapes that do not match.
    """
    tensors, notes = read_checkpoint(path)
    wanted = module.state_dict()
    problems = [*_names("missing", wanted, tensors), *_names("unexpected", tensors, wanted),
                *_shapes(wanted, tensors)]
    if problems:
        raise BadInput("\n  ".join((f"{path}: its tensors are not the module's:", *problems)))
    on_meta = any(value.is_meta for value in wanted.values())
    module.load_state_dict(tensors, assign=on_meta)
    return (f"weights of {path.name}", *notes)


def _names(word: str, names: Mapping, among: Mapping) -> list[str]:
    """Names that the other side has not, each with the nearest that it has."""
    lost = [name for name in names if name not in among]
    lines = []
    for name in lost[:SHOWN]:
        near = difflib.get_close_matches(name, [other for other in among if other not in names], 1)
        lines.append(f"{word} {name}" + (f" (did you mean {near[0]}?)" if near else ""))
    return lines + ([f"and {len(lost) - SHOWN} more {word}"] if len(lost) > SHOWN else [])


def _shapes(wanted: Mapping, tensors: Mapping) -> list[str]:
    pairs = [(name, tuple(value.shape), tuple(tensors[name].shape)) for name, value in wanted.items()
             if name in tensors]
    wrong = [f"{name} is {got} in the file, {need} in the module" for name, need, got in pairs if got != need]
    return wrong[:SHOWN] + ([f"and {len(wrong) - SHOWN} more shapes"] if len(wrong) > SHOWN else [])


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """(name -> tensor, what was unwrapped in words) of a .pt, .pth or .safetensors file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadModel(f"{path}: cannot be read: {error.strerror}") from None
    if path.suffix == ".safetensors":
        return read_safetensors(data, str(path)), ()
    return _unwrapped(_load(data, path), path)


def _load(data: bytes, path: Path) -> object:
    """By a reader that knows tensors only."""
    if (kind := _kind(data)) in (TORCHSCRIPT, PROGRAM):
        raise Unsupported(f"{path}: is {kind}; only tensors by name are read: save module.state_dict()")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about pickles that it goes on to refuse
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        if asked := FOREIGN.findall(str(error)) or _foreign(data):
            raise Unsupported(f"{path}: would run foreign code: it asks for {asked[0]}; save "
                              f"module.state_dict() instead of the module") from None
        line = (str(error).strip().splitlines() or [""])[0]
        raise BadModel(f"{path}: not a whole checkpoint: {type(error).__name__}: {line}") from None


def _unwrapped(found: object, path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """The innermost dict of tensors, without the prefixes of wrappers."""
    notes = []
    while isinstance(found, Mapping) and not _is_tensors(found):
        key = next((key for key in NESTED if isinstance(found.get(key), Mapping)), None)
        if key is None:
            raise BadInput(f"{path}: holds {', '.join(map(str, list(found)[:SHOWN])) or 'nothing'}, none of "
                           f"which is a dict of tensors; save module.state_dict()")
        found = found[key]
        notes.append(f"taken from '{key}' of the checkpoint")
    if not isinstance(found, Mapping):
        raise BadInput(f"{path}: holds {type(found).__name__}, not tensors by name; save module.state_dict()")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
            notes.append(f"names without '{prefix}'")
    return dict(found), tuple(notes)


def _is_tensors(found: Mapping) -> bool:
    return bool(found) and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in found.items())


def read_safetensors(data: bytes, name: str) -> dict[str, torch.Tensor]:
    """8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, little-endian values."""
    try:
        length = int.from_bytes(data[:8], "little")
        if not 0 < length <= len(data) - 8:
            raise ValueError(f"a header of {length} bytes in a file of {len(data)}")
        header, body = json.loads(data[8:8 + length]), data[8 + length:]
        return {key: _safetensor(entry, body) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise BadModel(f"{name}: not a whole safetensors file: {type(error).__name__}: {error}") from None


def _safetensor(entry: Mapping, body: bytes) -> torch.Tensor:
    dtype, shape, (begin, end) = SAFETENSORS[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"shape {shape} at {begin} to {end}")
    if end > len(body) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{end - begin} bytes at {begin} of {len(body)} for {entry['dtype']} {shape}")
    if begin == end:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(bytearray(body[begin:end]), dtype=dtype).reshape(shape)


# What a file is, without opening it -------------------------------------------------------------------------

def refuse_as_model(data: bytes, name: str) -> Unsupported:
    """The error that says what a .pt, .pth or .safetensors file is, where a model is wanted."""
    kind = "tensors without a network" if name.endswith(".safetensors") else _kind(data)
    if kind is None:
        kind = "tensors without a network" if _globals(data) is not None else "not a file that torch writes"
    remedy = f"give file.py:function for the network and --checkpoint {name} for its weights"
    if kind.startswith(("a pickled", TORCHSCRIPT)):
        remedy = "torch.export.save it as .pt2 where its code is, or give file.py:function"
    elif kind == PROGRAM:
        remedy = "call it .pt2"
    return Unsupported(f"{name}: is {kind}; {remedy}")


def _kind(data: bytes) -> str | None:
    """In words; None where it may be a checkpoint."""
    members = _members(data)
    if any("/code/" in member for member in members):
        return TORCHSCRIPT
    if any(re.search(r"models/[^/]+\.json$", member) for member in members):
        return PROGRAM
    if foreign := _foreign(data):
        return f"a pickled object, which would run the code of {foreign[0]}"
    return None


def _foreign(data: bytes) -> list[str]:
    """What a pickle would import beside what tensors are made of."""
    return [name.replace(" ", ".") for name in _globals(data) or () if not name.startswith(PLAIN_GLOBALS)]


def _members(data: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return opened.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return []


def _globals(data: bytes) -> list[str] | None:
    """What a pickle would import, as "module name"; None where there is no pickle. Nothing is imported."""
    try:
        pickled = data
        if members := [m for m in _members(data) if m.endswith("/data.pkl")]:
            with zipfile.ZipFile(io.BytesIO(data)) as opened:
                pickled = opened.read(members[0])
        stream, found = io.BytesIO(pickled), []
        while stream.tell() < len(pickled) and not found:
            found += _imports(stream)
            if members:
                break
        return found
    except (ValueError, IndexError, KeyError, NotImplementedError, RuntimeError, pickle.UnpicklingError,
            zipfile.BadZipFile):
        return None


def _imports(stream: io.BytesIO) -> list[str]:
    """Of one pickle: GLOBAL names both parts, STACK_GLOBAL takes the last two strings."""
    found, strings = [], []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "GLOBAL":
            found.append(argument)
        elif opcode.name == "STACK_GLOBAL":
            found.append(" ".join(strings[-2:]))
        elif isinstance(argument, str):
            strings.append(argument)
    return found
