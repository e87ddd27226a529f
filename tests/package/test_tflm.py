"""What programs with TFLite Micro get: the file's bytes, a resolver of its operators, an arena that holds."""

import re
import subprocess

import pytest

from tests.lower.c.test_emit import vectors
from tests.package.artifacts import one_to_one
from toolchain.errors import DeviceUnavailable, Unsupported
from toolchain.load.tflite_schema import BUILTIN
from toolchain.lower import lower
from toolchain.package import package
from toolchain.package.files import write_package
from toolchain.package.tflm import OPERATORS, adder, operators
from toolchain.profile import load_target
from toolchain.runtime import tflm_arena
from toolchain.runtime.tflm import TFLiteMicroFailed
from toolchain.runtime.tflm_arena import measure_arena

ADDERS = set("""
    AddAbs AddAdd AddArgMax AddAveragePool2D AddBatchMatMul AddCast AddConcatenation AddConv2D AddDepthToSpace
    AddDepthwiseConv2D AddDequantize AddDiv AddElu AddEqual AddExp AddFullyConnected AddGather AddGreater
    AddGreaterEqual AddHardSwish AddLeakyRelu AddLess AddLessEqual AddLog AddLogSoftmax AddLogicalAnd
    AddLogicalNot AddLogicalOr AddLogistic AddMaxPool2D AddMaximum AddMean AddMinimum AddMirrorPad AddMul
    AddNeg AddNotEqual AddPad AddPadV2 AddPrelu AddQuantize AddReduceMax AddReduceMin AddRelu AddRelu6
    AddReshape AddResizeBilinear AddResizeNearestNeighbor AddRsqrt AddSelectV2 AddSlice AddSoftmax
    AddSpaceToDepth AddSqrt AddSquaredDifference AddStridedSlice AddSub AddSum AddTanh AddTranspose
    AddTransposeConv""".split())
"""Functions of micro_mutable_op_resolver.h, as they are spelt there, for what we write."""
LACKING = {"GELU", "POW", "TILE"}
"""What we write and TFLite Micro has no kernel for."""
TFLM = """
#include <cstdint>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
#define TF_LITE_ENSURE_STATUS(a) do { if ((a) != kTfLiteOk) return kTfLiteError; } while (false)
namespace tflite {
template <unsigned int n> class MicroMutableOpResolver { public: %s };
}
"""
DEVICE = {"kws_ref_model": (22772, 22820), "pretrainedResnet_quant": (54340, 54996),
          "vww_96_int8": (100660, 100708), "ad01_int8": (2260, 2580)}
"""Network -> arena on a Cortex-M4, with reference kernels and with CMSIS-NN, told by arena_used_bytes()."""


def test_every_operator_of_ours_has_its_function():
    ours = {row.operator for row in BUILTIN.values()} | {"PADV2", "STRIDED_SLICE", "SQUARED_DIFFERENCE"}
    assert ours - OPERATORS == LACKING
    assert {adder(operator) for operator in ours - LACKING} <= ADDERS


def test_the_files_compile_and_the_array_is_the_file(tmp_path):
    artifact = one_to_one("host")
    write_package(package(artifact, "tflite-micro"), tmp_path / "net")
    header = tmp_path / "tensorflow" / "lite" / "micro" / "micro_mutable_op_resolver.h"
    header.parent.mkdir(parents=True)
    functions = (f"TfLiteStatus {name}() {{ return kTfLiteOk; }}" for name in sorted(ADDERS))
    header.write_text(TFLM % " ".join(functions))
    (tmp_path / "main.cc").write_text(
        '#include "net/residual_model_data.h"\n#include "net/residual_resolver.h"\n#include <cstdio>\n'
        "int main() {\n  residual_resolver resolver;\n  if (residual_add_operators(resolver)) return 1;\n"
        "  fwrite(residual_model_data, 1, residual_model_data_bytes, stdout);\n  return 0;\n}\n")
    subprocess.run(["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-I.", "-o", "main", "main.cc",
                    "net/residual_model_data.cc"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
    assert said == artifact.model("tflite")


def test_the_resolver_has_room_for_exactly_its_operators():
    artifact = one_to_one("host")
    text = package(artifact, "tflite-micro").files["residual_resolver.h"].decode()
    added = re.findall(r"resolver\.(\w+)\(\)", text)
    assert f"MicroMutableOpResolver<{len(added)}>" in text
    assert added == [adder(operator) for operator in operators(artifact.model("tflite"), "residual")]
    assert "AddConv2D" in added and len(set(added)) == len(added)


@pytest.mark.oracle
@pytest.mark.parametrize("name", DEVICE)
def test_the_arena_holds_what_a_board_used(kit, name):
    """Within 1,100 bytes above the reference kernels' on a Cortex-M4."""
    arena = measure_arena((kit / "models" / f"{name}.tflite").read_bytes())
    reference, cmsis_nn = DEVICE[name]
    assert reference <= arena.device_bytes <= reference + 1100
    assert cmsis_nn <= arena.device_bytes < arena.host_bytes and arena.activation_bytes < reference


@pytest.mark.oracle
def test_what_tflite_micro_refuses_is_told():
    with pytest.raises(TFLiteMicroFailed, match=r"^TFLite Micro (died of SIG\w+ on|refused) the model: "):
        measure_arena(one_to_one("host").model("tflite")[:200])


def test_without_the_package_the_error_says_what_to_do():
    missing = subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: No module named 'tflite_micro'\n")
    error = tflm_arena._failure(missing)
    assert isinstance(error, DeviceUnavailable) and "`make setup` installs tflite-micro" in str(error)


def test_operators_that_it_lacks_are_listed(tmp_path):
    from tests.lower.c.nets import Net

    net = Net("tiled")
    x = net.codes_in("x", 1, 2, 2, 3)
    graph = net.finish(net.make("tile", x, "y", 0.05, 3, multiples=(1, 2, 1, 1)))
    with pytest.raises(Unsupported, match=r"tiled in TFLite Micro: 1 unsupported:\n  TILE: no kernel"):
        package(lower(graph, load_target("host"), vectors(graph)), "tflite-micro")
