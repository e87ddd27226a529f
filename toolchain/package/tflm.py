"""For TFLite Micro: the .tflite as an array, a resolver with the operators that it has, and its arena's size.

Sources: tensorflow/lite/micro/micro_mutable_op_resolver.h for the names of its Add...() functions;
micro_interpreter.h for what is done with all three.
"""

from toolchain.artifact import Artifact
from toolchain.errors import BadInput, Unsupported
from toolchain.load.tflite_file import read_tflite
from toolchain.lower.c.names import identifier, plain
from toolchain.package.sources import Package, filled_in
from toolchain.runtime.tflm_arena import measure_arena

OPERATORS = frozenset("""
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE
    DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD
    FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D
    LEAKY_RELU LESS LESS_EQUAL LOG LOG_SOFTMAX LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM
    MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN
    SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE
    STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE
    WHILE ZEROS_LIKE""".split())
"""Builtin operators that TFLite Micro of 2026-08 has kernels for."""
SPELT = {"BATCH_MATMUL": "AddBatchMatMul", "CUMSUM": "AddCumSum", "PADV2": "AddPadV2",
         "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM"}
"""Those whose function is not their name in camel case."""
PER_LINE = 16


def tflite_micro(artifact: Artifact) -> Package:
    """Four files for a program with TFLite Micro in it.

    Raises BadInput where there is no .tflite, Unsupported for operators that TFLite Micro lacks,
    TFLiteMicroFailed where it refuses the model, DeviceUnavailable where its package is missing.
    """
    manifest = artifact.manifest
    if "tflite" not in manifest.formats:
        raise BadInput(f"{manifest.name} for {manifest.target} has no .tflite; build it for a target with "
                       f"one (`edge targets`)")
    model, name = artifact.model("tflite"), identifier(manifest.name)
    adders = [adder(operator) for operator in operators(model, manifest.name)]
    shown = {"name": name, "upper": name.upper(), "title": plain(manifest.name), "adders": adders,
             "bytes": len(model), "arena": measure_arena(model), "lines": hex_lines(model)}
    files = (f"{name}_model_data.h", f"{name}_model_data.cc", f"{name}_resolver.h", "README.md")
    templates = ("model_data.h", "model_data.cc", "resolver.h", "README_tflm.md")
    return Package(name, {file: filled_in(template, shown)
                          for file, template in zip(files, templates, strict=True)})


def operators(model: bytes, name: str) -> list[str]:
    """Builtin operators of the file's ops, in order of their names. Raises Unsupported."""
    found = sorted({op.operator for op in read_tflite(model, name).ops})
    if lacking := [operator for operator in found if operator not in OPERATORS]:
        raise Unsupported.listing(f"{name} in TFLite Micro",
                                  [f"{operator}: no kernel in TFLite Micro" for operator in lacking])
    return found


def adder(operator: str) -> str:
    """The resolver's function: CONV_2D -> AddConv2D."""
    return SPELT.get(operator) or "Add" + "".join(map(_capital, operator.split("_")))


def _capital(word: str) -> str:
    return word.upper() if word[0].isdigit() else word.capitalize()


def hex_lines(data: bytes) -> list[str]:
    """The bytes as numbers of C, some to a line."""
    rows = (data[i:i + PER_LINE] for i in range(0, len(data), PER_LINE))
    return [", ".join(f"0x{byte:02x}" for byte in row) for row in rows]
