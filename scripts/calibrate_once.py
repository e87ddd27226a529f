"""Calibrate a float model once with one tool: what that costs. A child of benchmark_calibration_cost.py.

calibrate_once.py TOOL SETTING FOLDER COUNT        in the tool's own environment

FOLDER: model.tflite, model.onnx, and a sample set of which the .npz holds x uncompressed: uint8 images that
the network takes as (x - 127) / 128. A tool is given them one by one as it asks, where it can take them so.
Prints CPU seconds, imports and the loading of model and images apart, and the peak memory of the process.
"""

from collections.abc import Iterator
from pathlib import Path
import sys
import tempfile
import zipfile

from footprint import FOOTPRINT
import numpy as np

ONE_THREAD = 1


def images(folder: Path, count: int) -> Iterator[np.ndarray]:
    """(1, side, side, 3) float32, each read from the file when it is asked for."""
    with zipfile.ZipFile(folder / "samples.npz") as archive, archive.open("x.npy") as stream:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        size = int(np.prod(shape[1:])) * dtype.itemsize
        for _ in range(count):
            pixels = np.frombuffer(stream.read(size), dtype).reshape(1, *shape[1:])
            yield (pixels.astype(np.float32) - 127) / 128


def channels_first(folder: Path, count: int) -> Iterator[np.ndarray]:
    for image in images(folder, count):
        yield np.ascontiguousarray(image.transpose(0, 3, 1, 2))


# Plain inference: the runtime opened, images read, the runtime run, its output asked for --------------------

def plain_litert(setting: str, folder: Path, count: int) -> float:
    from ai_edge_litert.interpreter import Interpreter

    FOOTPRINT.begin()
    interpreter = Interpreter(str(folder / "model.tflite"), num_threads=ONE_THREAD)
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    for image in images(folder, count):
        interpreter.set_tensor(into["index"], image)
        interpreter.invoke()
        interpreter.get_tensor(out["index"])
    FOOTPRINT.stage("infer")
    return FOOTPRINT.cpu["infer"]


def plain_onnxruntime(setting: str, folder: Path, count: int) -> float:
    import onnxruntime

    FOOTPRINT.begin()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = ONE_THREAD
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for image in channels_first(folder, count):
        session.run(None, {name: image})
    FOOTPRINT.stage("infer")
    return FOOTPRINT.cpu["infer"]


# Calibration -----------------------------------------------------------------------------------------------

def ours(setting: str, folder: Path, count: int) -> float:
    """From the float graph and the samples to the ranges: writing the model for the runtime, opening it,
    reading and normalising images, running, observing."""
    from functools import partial

    from toolchain.data import load_samples
    from toolchain.execution import watch
    from toolchain.ir.passes import canonical
    from toolchain.load import load
    from toolchain.quantize.calibrate import calibrate
    from toolchain.recipe import CalibrateConfig

    FOOTPRINT.begin()
    graph, samples = canonical(load(str(folder / "model.tflite"))), load_samples(folder)
    FOOTPRINT.stage("load")
    config = CalibrateConfig(observer=setting, samples=count)
    stats = calibrate(graph, config, samples, partial(watch, runtime=config.runtime))
    assert all(low <= high for low, high in (seen.range for seen in stats.values()))
    FOOTPRINT.stage("calibrate")
    return FOOTPRINT.cpu["calibrate"]


def onnxruntime(setting: str, folder: Path, count: int) -> float:
    """Its calibrator alone: the augmented model, its session, collecting, computing ranges."""
    import onnx
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.calibrate import create_calibrator

    class Reader(ort.CalibrationDataReader):
        def __init__(self):
            name = onnx.load(folder / "model.onnx", load_external_data=False).graph.input[0].name
            self._feeds = ({name: image} for image in channels_first(folder, count))

        def get_next(self):
            return next(self._feeds, None)

    FOOTPRINT.begin()
    reader = Reader()
    with tempfile.TemporaryDirectory() as place:
        FOOTPRINT.stage("load")
        calibrator = create_calibrator(folder / "model.onnx", augmented_model_path=f"{place}/augmented.onnx",
                                       calibrate_method=ort.CalibrationMethod[setting])
        calibrator.collect_data(reader)
        calibrator.compute_data()
        FOOTPRINT.stage("calibrate")
    return FOOTPRINT.cpu["calibrate"]


def litert_quantizer(setting: str, folder: Path, count: int) -> float:
    """Its `calibrate`, which wants the whole data set at hand."""
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import Quantizer, recipe
    from litert_quantizer.calibrator import CalibrationMode

    FOOTPRINT.begin()
    quantizer = Quantizer(str(folder / "model.tflite"), recipe.static_wi8_ai8())
    signature = Interpreter(str(folder / "model.tflite")).get_signature_list()["serving_default"]
    data = [{signature["inputs"][0]: image} for image in images(folder, count)]
    FOOTPRINT.stage("load")
    quantizer.calibrate({"serving_default": data}, num_threads=ONE_THREAD, mode=CalibrationMode[setting])
    FOOTPRINT.stage("calibrate")
    return FOOTPRINT.cpu["calibrate"]


def nncf(setting: str, folder: Path, count: int) -> float:
    """Its `quantize` whole, which has no calibration apart; setting: "none" or "fast" bias correction."""
    import nncf
    import onnx

    FOOTPRINT.begin()
    model = onnx.load(folder / "model.onnx")
    name = model.graph.input[0].name
    advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=setting == "none")
    FOOTPRINT.stage("load")
    data = nncf.Dataset({name: image} for image in channels_first(folder, count))
    nncf.quantize(model, data, subset_size=count, fast_bias_correction=True, advanced_parameters=advanced)
    FOOTPRINT.stage("calibrate")
    return FOOTPRINT.cpu["calibrate"]


TOOLS = {function.__name__: function for function in (plain_litert, plain_onnxruntime, ours, onnxruntime,
                                                      litert_quantizer, nncf)}


def main(tool: str, setting: str, folder: str, count: str) -> None:
    FOOTPRINT.cpu["work"] = TOOLS[tool](setting, Path(folder), int(count))
    print(FOOTPRINT.record())


if __name__ == "__main__":
    main(*sys.argv[1:])
