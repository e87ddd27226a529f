"""Checkpoints: put in whole or refused by name; nothing in them is run."""

import io
import json
import pickle
import textwrap
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from toolchain.cli import app
from toolchain.errors import BadInput, BadModel, ToolchainError, Unsupported
from toolchain.load import load
from toolchain.load.torch_weights import fill, read_checkpoint
from toolchain.recipe import Recipe, load_recipe


def net():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def trained():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return net()


def stored(folder, content, name="weights.pt"):
    torch.save(content, folder / name)
    return folder / name


def same(module, other):
    return all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("wrap, notes", [
    (lambda state: state, ()),
    (lambda state: {"epoch": 3, "state_dict": state}, ("taken from 'state_dict' of the checkpoint",)),
    (lambda state: {"model": {f"module.{k}": v for k, v in state.items()}, "optimizer": {"lr": 0.1}},
     ("taken from 'model' of the checkpoint", "names without 'module.'")),
    (lambda state: {f"_orig_mod.{k}": v for k, v in state.items()}, ("names without '_orig_mod.'",)),
    (lambda state: {k: v.half().float() for k, v in state.items()}, ()),
])
def test_a_checkpoint_fills_the_module(wrap, notes, tmp_path):
    source, module = trained(), net()
    source.load_state_dict({k: v.half().float() for k, v in source.state_dict().items()})
    assert fill(module, stored(tmp_path, wrap(source.state_dict()))) == ("weights of weights.pt", *notes)
    assert same(module, source)


def test_half_precision_becomes_float32(tmp_path):
    module = net()
    fill(module, stored(tmp_path, {k: v.half() for k, v in trained().state_dict().items()}))
    assert module[0].weight.dtype == torch.float32


def test_a_module_without_values_gets_them(tmp_path):
    with torch.device("meta"):
        module = net()
    fill(module, stored(tmp_path, trained().state_dict()))
    assert same(module, trained())


def test_what_does_not_match_is_listed_at_once(tmp_path):
    state = trained().state_dict()
    state["0.wieght"], state["2.bias"] = state.pop("0.weight"), torch.zeros(5)
    with pytest.raises(BadInput) as error:
        fill(net(), stored(tmp_path, state))
    assert str(error.value).splitlines() == [
        f"{tmp_path}/weights.pt: its tensors are not the module's:",
        "  missing 0.weight (did you mean 0.wieght?)",
        "  unexpected 0.wieght (did you mean 0.weight?)",
        "  2.bias is (5,) in the file, (2,) in the module"]


def test_a_long_list_is_cut(tmp_path):
    deep = nn.Sequential(*(nn.Linear(2, 2) for _ in range(9)))
    with pytest.raises(BadInput, match="\n  and 13 more missing"):
        fill(deep, stored(tmp_path, {"other": torch.zeros(1)}))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class Custom(nn.Module):
    pass


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_that_would_run_code_is_refused(protocol, tmp_path):
    trace = tmp_path / "trace"
    path = tmp_path / "weights.pt"
    torch.save({"0.weight": Bomb(trace)}, path, pickle_protocol=protocol)
    with pytest.raises(Unsupported, match="would run foreign code: it asks for [_a-z]*io.open; save"):
        fill(net(), path)
    path.write_bytes(pickle.dumps(Bomb(trace), protocol))
    with pytest.raises(ToolchainError, match="foreign code|would run the code of"):
        fill(net(), path)
    assert not trace.exists()


def test_a_pickled_module_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="would run foreign code: it asks for .*Custom; save"):
        read_checkpoint(stored(tmp_path, Custom()))


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.trace(net(), torch.zeros(1, 4)).save(str(path))
    with pytest.raises(Unsupported, match="is TorchScript, which is a network as code; only tensors by name"):
        read_checkpoint(path)


@pytest.mark.parametrize("content, error, message", [
    (torch.zeros(3), BadInput, "holds Tensor, not tensors by name"),
    ({"epoch": 3, "lr": 0.1}, BadInput, "holds epoch, lr, none of which is a dict of tensors"),
    ({}, BadInput, "holds nothing, none of which"),
])
def test_what_is_no_checkpoint_is_named(content, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_checkpoint(stored(tmp_path, content))


def test_a_broken_or_missing_file_is_named(tmp_path):
    path = stored(tmp_path, trained().state_dict())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(BadModel, match="weights.pt: not a whole checkpoint"):
        read_checkpoint(path)
    with pytest.raises(BadModel, match="nothing.pt: cannot be read: No such file"):
        read_checkpoint(tmp_path / "nothing.pt")


# safetensors ------------------------------------------------------------------------------------------------

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def safetensors(tensors) -> bytes:
    """As the format's page describes it."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        raw = value.contiguous().view(torch.uint8).numpy().tobytes() if value.numel() else b""
        header[name] = {"dtype": NAMES[value.dtype], "shape": list(value.shape),
                        "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def test_safetensors_fill_the_module(tmp_path):
    path, module = tmp_path / "weights.safetensors", net()
    path.write_bytes(safetensors(trained().state_dict()))
    assert fill(module, path) == ("weights of weights.safetensors",)
    assert same(module, trained())


@pytest.mark.parametrize("dtype", NAMES)
def test_safetensors_of_each_dtype(dtype, tmp_path):
    value, path = torch.arange(6).reshape(2, 3).to(dtype), tmp_path / "w.safetensors"
    path.write_bytes(safetensors({"a": value, "empty": torch.zeros(0, 3, dtype=dtype)}))
    read, _ = read_checkpoint(path)
    assert read["a"].dtype == dtype and torch.equal(read["a"], value) and read["empty"].shape == (0, 3)


def test_broken_safetensors_are_named(tmp_path):
    data, path = safetensors(trained().state_dict()), tmp_path / "w.safetensors"
    rng = np.random.default_rng(1)
    path.write_bytes(data[:-4])
    with pytest.raises(BadModel, match="w.safetensors: not a whole safetensors file: ValueError: 8 bytes at"):
        read_checkpoint(path)
    for _ in range(300):
        mutated = bytearray(data[:int(rng.integers(1, len(data) + 1))])
        for _ in range(int(rng.integers(4))):
            mutated[int(rng.integers(len(mutated)))] = int(rng.integers(256))
        path.write_bytes(mutated)
        try:
            read_checkpoint(path)
        except ToolchainError:
            pass


def test_mutated_checkpoints_give_one_error(tmp_path):
    path, rng = stored(tmp_path, trained().state_dict()), np.random.default_rng(2)
    data = path.read_bytes()
    for _ in range(200):
        mutated = bytearray(data)
        for _ in range(int(rng.integers(1, 6))):
            mutated[int(rng.integers(len(mutated)))] = int(rng.integers(256))
        path.write_bytes(mutated)
        try:
            read_checkpoint(path)
        except ToolchainError:
            pass


# As a model -------------------------------------------------------------------------------------------------

def test_a_function_takes_its_weights_from_a_checkpoint(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent("""
        import torch
        from torch import nn
        def build():
            return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 4)
        def program():
            return torch.export.export(*[build()[0], (torch.zeros(1, 4),)])
    """))
    checkpoint = stored(tmp_path, {"state_dict": trained().state_dict()})
    graph = load(f"{path}:build", checkpoint=checkpoint)
    np.testing.assert_array_equal(graph.tensors["0.weight"].data, trained()[0].weight.detach().numpy())
    assert graph.source.notes == ("weights of weights.pt", "taken from 'state_dict' of the checkpoint")
    with pytest.raises(BadInput, match="gives an ExportedProgram, which has its weights; leave .* out"):
        load(f"{path}:program", checkpoint=checkpoint)
    with pytest.raises(BadInput, match="a checkpoint is given, .*weights.pt, but only file.py:func"):
        load("model.onnx", checkpoint=checkpoint)


def scripted(path):
    torch.jit.trace(net(), torch.zeros(1, 4)).save(str(path))


def exported(path):
    torch.export.save(torch.export.export(net(), (torch.zeros(1, 4),)), str(path.with_suffix(".pt2")))
    path.with_suffix(".pt2").rename(path)


@pytest.mark.parametrize("write, name, message", [
    (lambda path: torch.save(net().state_dict(), path), "model.pt",
     "is tensors without a network; give file.py:function for the network and --checkpoint .*model.pt for"),
    (lambda path: torch.save(net().state_dict(), path, _use_new_zipfile_serialization=False), "model.pth",
     "is tensors without a network"),
    (lambda path: path.write_bytes(safetensors(net().state_dict())), "model.safetensors",
     "is tensors without a network; give file.py:function"),
    (lambda path: torch.save(Custom(), path), "model.pt",
     "is a pickled object, which would run the code of .*Custom; torch.export.save it as .pt2"),
    (lambda path: torch.save(Custom(), path, pickle_protocol=4), "model.pt", "run the code of .*Custom"),
    (lambda path: torch.save(Custom(), path, _use_new_zipfile_serialization=False), "model.ckpt",
     "run the code of .*Custom"),
    (scripted, "model.pt", "is TorchScript, which is a network as code; torch.export.save it"),
    (exported, "model.pt", "is a program of torch.export.save; call it .pt2"),
    (lambda path: path.write_bytes(b"\x00\x01 no pickle"), "model.pt", "is not a file that torch writes"),
])
def test_a_bare_file_is_named_for_what_it_is(write, name, message, tmp_path):
    path = tmp_path / name
    write(path)
    with pytest.raises(Unsupported, match=message):
        load(path)


def test_naming_a_file_runs_nothing(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "model.pt"
    torch.save({"w": Bomb(trace)}, path)
    with pytest.raises(Unsupported, match=r"run the code of [_a-z]*io\.open"):
        load(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("m/data.pkl", pickle.dumps(Bomb(trace)))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(Unsupported, match="run the code of"):
        load(path)
    assert not trace.exists()


def test_a_recipe_names_a_checkpoint_beside_it(tmp_path):
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "recipe.toml").write_text('checkpoint = "weights.pt"')
        recipe = load_recipe(folder / "recipe.toml")
        assert recipe.checkpoint == str(folder / "weights.pt")
        digests.append(recipe.digest)
    assert digests[0] == digests[1] != Recipe().digest


def test_the_command_takes_a_checkpoint(tmp_path):
    code = "import torch\ndef build(): return torch.nn.Linear(4, 3), torch.zeros(1, 4)"
    (tmp_path / "net.py").write_text(code)
    module = nn.Linear(4, 3)
    checkpoint = stored(tmp_path, module.state_dict())
    out = tmp_path / "net.onnx"
    for verb in (["inspect"], ["convert", str(out)]):
        command = [verb[0], f"{tmp_path}/net.py:build", *verb[1:], "--checkpoint", str(checkpoint)]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0 and "weights of weights.pt" in done.output, done.output
    (weight,) = (t for t in load(out).constants if len(t.shape) == 2)
    np.testing.assert_array_equal(weight.data, module.weight.detach().numpy())
