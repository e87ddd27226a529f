"""Programs of torch.export, in memory and as .pt2 files: read without running anything that they hold."""

import io
import json
import pickle
import textwrap
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from tests.load.test_torch_ops import CALLS
from tests.load.torch_nets import kinds, network, seeded
from tests.models import NETWORKS
from toolchain.errors import BadInput, BadModel, ToolchainError, Unsupported
from toolchain.ir.layout import transposes
from toolchain.ir.passes import canonical
from toolchain.load import load
from toolchain.load.selfcheck import self_check
from toolchain.load.torch import load_program
from toolchain.load.torch_archive import read_archive


def exported(module, *example, **options):
    with torch.no_grad():
        return torch.export.export(network(module).eval(), example, **options)


def archive(program) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def saved(folder, program, name="model.pt2"):
    path = folder / name
    path.write_bytes(program if isinstance(program, bytes) else archive(program))
    return str(path)


def rewritten(data: bytes, change=None, members=None) -> bytes:
    """The archive with its JSON changed by `change`, or other members put in."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        folder = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            content = old.read(name)
            if change and name.endswith("models/model.json"):
                document = json.loads(content)
                change(document)
                content = json.dumps(document)
            if name.partition("/")[2] not in (members or {}):
                new.writestr(name, content)
        for name, content in (members or {}).items():
            new.writestr(f"{folder}/{name}", content)
    return made.getvalue()


def nodes(document):
    return document["graph_module"]["graph"]["nodes"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_program_is_the_module(name, tmp_path):
    module, example = NETWORKS[name]()
    path = saved(tmp_path, exported(module, *example))
    graph = load(path)
    assert graph.source.worst_error < 1e-5 and graph.source.format == "torch"
    assert transposes(canonical(graph)) == 0
    assert len(graph.source.sha256) == 64


def test_names_come_from_the_modules_that_are_gone(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.ReLU()))
    graph = load(saved(tmp_path, exported(net, torch.zeros(1, 3, 6, 6))))
    assert [op.name for op in graph.ops] == ["0", "1", "2.0"]
    assert {t.name for t in graph.constants} >= {"0.weight", "0.bias", "1.running_mean"}


NOT_SAVED = {"reduce_aminmax", "reduce_max_and_where"}
"""torch.export.save has no name for the tuples of these."""
SAVED = [name for name in CALLS if name.startswith(("part", "shape", "reduce", "math", "pool"))
         and name not in NOT_SAVED]


@pytest.mark.parametrize("name", SAVED)
def test_every_kind_of_argument_is_read(name):
    """Lists, scalars, types, results in several parts: the program runs as the module does."""
    made, shape = CALLS[name]
    module = seeded(network(made))
    program = read_archive(archive(exported(module, torch.zeros(shape))), "net")
    graph, oracle = load_program(program, "net")
    assert self_check(graph, graph, oracle) < 1e-5
    feeds = {graph.inputs[0]: np.random.default_rng(2).standard_normal(shape, np.float32)}
    with torch.no_grad():
        theirs = module(torch.from_numpy(feeds[graph.inputs[0]].copy()))
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    for ours, expected in zip(oracle(feeds, ()).values(), theirs, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-6)


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(64, 2)
        self.register_buffer("offset", torch.ones(1), persistent=False)

    def forward(self, x, other=None):
        y = self.conv(x)
        y = self.fc(y.view(y.shape[0], -1)) + self.offset
        return {"scores": y, "shifted": y - other["by"]}


def dynamic_program():
    batch = torch.export.Dim("batch", min=2)
    return exported(Dynamic(), torch.zeros(4, 3, 6, 6), {"by": torch.zeros(4, 2)},
                    dynamic_shapes={"x": {0: batch}, "other": {"by": {0: batch}}})


def test_a_dynamic_batch_is_bound_to_one_and_said(tmp_path):
    graph = load(saved(tmp_path, dynamic_program()))
    assert graph.outputs == ("scores", "shifted") and graph.inputs == ("x", "other_by")
    assert all(graph.tensors[name].shape[0] == 1 for name in (*graph.inputs, *graph.outputs))
    assert graph.source.notes == ("batch of x, other_by bound to 1",)


def test_a_file_may_give_a_program(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent("""
        import torch
        def build():
            return torch.export.export(torch.nn.Linear(4, 2), (torch.zeros(8, 4),))
    """))
    graph = load(f"{path}:build")
    assert kinds(graph) == ["fully_connected"] and graph.source.notes == ("batch of input bound to 1",)


def test_a_decomposed_program_goes_through(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(), nn.MaxPool2d(2),
                        nn.Conv2d(4, 4, 3, groups=4), nn.Hardswish(), nn.ConvTranspose2d(4, 4, 2, 2),
                        nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
                        nn.Softmax(-1))
    program = exported(net, torch.zeros(1, 3, 12, 12)).run_decompositions()
    assert load(saved(tmp_path, program)).source.worst_error < 1e-5


def test_a_baked_batch_is_named(tmp_path):
    program = exported(lambda m, x: x.view(8, 4, 3) + 1, torch.zeros(8, 12))
    with pytest.raises(BadInput, match="does not take one sample.*Export it with a batch of 1, or a dynamic"):
        load(saved(tmp_path, program))


def test_other_open_sizes_are_refused(tmp_path):
    program = exported(nn.ReLU(), torch.zeros(1, 6), dynamic_shapes={"input": {1: torch.export.Dim("n")}})
    with pytest.raises(Unsupported, match=r"input input leaves axes \[1\] open; export it with fixed sizes"):
        load(saved(tmp_path, program))


# Hostile and broken files -----------------------------------------------------------------------------------

def relu_archive() -> bytes:
    return archive(exported(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(1, 4)))


class Bomb:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_of_an_archive_are_never_opened(tmp_path):
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    data = rewritten(relu_archive(), members={"data/sample_inputs/model.pt": bomb})
    assert kinds(load(saved(tmp_path, data))) == ["fully_connected", "relu"]
    assert not trace.exists()


def test_a_pickled_weight_is_refused(tmp_path):
    with zipfile.ZipFile(io.BytesIO(relu_archive())) as old:
        name = next(n for n in old.namelist() if n.endswith("weights_config.json"))
        config = json.loads(old.read(name))
    config["config"]["0.weight"]["use_pickle"] = True
    members = {"data/weights/model_weights_config.json": json.dumps(config),
               "data/weights/weight_0": pickle.dumps(Bomb(tmp_path / "trace"))}
    with pytest.raises(Unsupported, match="0.weight is pickled, and a pickle can run foreign code"):
        load(saved(tmp_path, rewritten(relu_archive(), members=members)))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("target", ["torch.os.system", "_operator.call", "torch.ops.aten.from_file.default",
                                    "torch.hub.load", "math.exp", "torch.ops.aten.relu.default.__class__",
                                    "torch.ops.aten.__init__.default", "#ext:os.system"])
def test_only_calls_of_the_op_table_are_looked_up(target, tmp_path):
    def change(document):
        nodes(document)[-1]["target"] = target

    with pytest.raises(Unsupported, match="unsupported:\n  .* at 1: no row in the op table"):
        load(saved(tmp_path, rewritten(relu_archive(), change)))


def test_expressions_are_not_evaluated(tmp_path):
    trace = tmp_path / "trace"

    def change(document):
        evil = f"__import__('pathlib').Path({str(trace)!r}).touch() or 1"
        graph = document["graph_module"]["graph"]
        graph["tensor_values"]["input"]["sizes"][0] = {"as_expr": {"expr_str": evil, "hint": {"as_int": 1}}}
        document["guards_code"] = [evil]
        document["range_constraints"] = {evil: {"min_val": 0, "max_val": 1}}

    load(saved(tmp_path, rewritten(relu_archive(), change)))
    assert not trace.exists()


def test_an_absurd_size_is_refused(tmp_path):
    data = archive(exported(lambda m, x: x + torch.zeros(4), torch.zeros(1, 4)))

    def change(document):
        nodes(document)[0]["inputs"][0]["arg"] = {"as_ints": [1 << 20, 1 << 20]}

    with pytest.raises(BadInput, match="too large to be meant"):
        load(saved(tmp_path, rewritten(data, change)))


def test_an_older_schema_is_named(tmp_path):
    def change(document):
        document["schema_version"]["major"] = 5

    with pytest.raises(Unsupported, match="has schema version 5; version 8 has a reader"):
        load(saved(tmp_path, rewritten(relu_archive(), change)))


@pytest.mark.parametrize("data, message", [
    (b"PK\x03\x04 no more", "not a whole program of torch.export.save: BadZipFile"),
    (b"nothing", "not a whole program of torch.export.save: BadZipFile"),
])
def test_a_broken_file_is_named(data, message, tmp_path):
    with pytest.raises(BadModel, match=message):
        load(saved(tmp_path, data))


def test_compressed_members_are_refused(tmp_path):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("m/models/model.json", "{}" * 1000)
    with pytest.raises(BadModel, match="holds compressed members"):
        load(saved(tmp_path, made.getvalue()))


def test_mutations_give_one_error_or_a_right_result(tmp_path):
    """300 seeded flips, cuts and JSON edits: nothing but the toolchain's errors comes out."""
    data, rng = archive(dynamic_program()), np.random.default_rng(5)
    for number in range(300):
        mutated = bytearray(data)
        if number % 3 == 0:
            mutated = mutated[:int(rng.integers(1, len(mutated)))]
        else:
            for _ in range(int(rng.integers(1, 4))):
                mutated[int(rng.integers(len(mutated)))] = int(rng.integers(256))
        try:
            load(saved(tmp_path, bytes(mutated)))
        except ToolchainError:
            pass


def test_json_edits_give_one_error_or_a_right_result(tmp_path):
    data, rng = archive(dynamic_program()), np.random.default_rng(6)

    def edit(value):
        """Somewhere inside, a value becomes another."""
        while isinstance(value, dict | list) and value:
            keys = list(value) if isinstance(value, dict) else range(len(value))
            key = keys[int(rng.integers(len(keys)))]
            if not isinstance(value[key], dict | list) or not value[key] or rng.random() < 0.15:
                value[key] = [None, -1, 1 << 40, "x", [], {}, 0.5][int(rng.integers(7))]
                return
            value = value[key]

    for _ in range(200):
        try:
            load(saved(tmp_path, rewritten(data, lambda document: edit(document["graph_module"]))))
        except ToolchainError:
            pass
