"""Chains as artefacts: what their files and manifest say, and the snippet that comes with the C."""

from functools import partial
import subprocess

import msgspec
import numpy as np
import pytest

from tests import chains
from tests.c_host import FLAGS
from tests.slices import sliced
from toolchain.artifact import read_artifact
from toolchain.errors import Unsupported
from toolchain.ir.quant import dequantize
from toolchain.lower import Asked
from toolchain.lower.chain import lower_chain
from toolchain.profile import load_target

vectors = partial(chains.vectors, count=4, seed=9)


def test_files_of_each_stage(tmp_path):
    chain = chains.handing_on()
    made = lower_chain(chain, load_target("host"), vectors(chain))
    manifest = made.manifest
    assert {f"stage_{n}.{fmt}" for n in range(3) for fmt in ("tflite", "onnx")} == set(made.files)
    assert [port.name for port in manifest.outputs["tflite"]] == ["logits_2", "path"]
    assert [port.dtype for port in manifest.outputs["graph"]] == ["int16", "int32"]
    assert [port.name for port in manifest.chain.stages[2].inputs["graph"]] == ["stem", "middle"]
    assert manifest.static_bytes["flash"] == sum(map(len, made.files.values())) - sum(
        len(data) for name, data in made.files.items() if name.endswith("onnx"))
    assert (manifest.macs, manifest.graph_digest) == (chain.macs, chain.digest)
    made.write(tmp_path / "chain")
    assert read_artifact(tmp_path / "chain").digest == made.digest


def test_the_snippet_prints_the_answer_and_who_gave_it(tmp_path):
    chain = chains.cascade()
    given = vectors(chain, count=8)
    made = lower_chain(chain, load_target("cortex_m4_qemu"), given)
    for name, data in made.files.items():
        (tmp_path / name).write_bytes(data)
    units = [str(path) for path in tmp_path.glob("*.c") if path.name != "selftest.c"]
    command = ["gcc", *FLAGS[:1], f"-I{tmp_path}", *units, "-lm", "-o", str(tmp_path / "usage")]
    assert "model.c stage_*.c tk_*.c" in made.files["usage.c"].decode()
    subprocess.run(command, check=True)
    quant = chain.inputs[0].quant
    for row in range(8):
        reals = dequantize(given["input/x"][row], quant).astype("<f4").tobytes()
        done = subprocess.run([tmp_path / "usage"], input=reals, capture_output=True, check=True)
        *logits, path = done.stdout.decode().splitlines()
        assert path == f"answered by stage {given['output/path'][row]}" and len(logits) == 5
        expected = dequantize(given["output/logits"][row], chain.logits.quant)
        np.testing.assert_allclose([float(line) for line in logits], expected, rtol=1e-4, atol=1e-6)


def test_the_snippet_names_what_levels_share(tmp_path):
    """The command that it tells builds a program."""
    made = lower_chain(sliced(((4, 8, 8), (16, 32, 24))), load_target("cortex_m4_qemu"), {})
    for name, data in made.files.items():
        (tmp_path / name).write_bytes(data)
    command = made.files["usage.c"].decode().partition("\n")[0].partition(": ")[2].partition(" &&")[0]
    assert "stage_*.c shared.c tk_*.c" in command
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "usage").exists()


def test_further_memories_are_left_alone():
    """What a stage hands on lies in the one arena."""
    chain, target = chains.cascade(), load_target("cortex_m4_qemu")
    beside = msgspec.structs.replace(target, regions={"TCM": 4096})
    assert lower_chain(chain, beside, vectors(chain)).files["model.h"] == lower_chain(
        chain, target, vectors(chain)).files["model.h"]


def test_what_c_does_not_take():
    with pytest.raises(Unsupported, match="C is integer only"):
        lower_chain(chains.cascade(), load_target("cortex_m4_qemu"), {}, Asked(input_dtype="float32"))
