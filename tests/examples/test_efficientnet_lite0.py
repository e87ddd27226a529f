"""EfficientNet-Lite0 as packaged: the weights are the published ones and the input is (x - 127) / 128."""

import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image
import torch

FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "efficientnet_lite0" / "model.py"


def test_it_names_what_is_in_the_kits_photographs(kit):
    spec = importlib.util.spec_from_file_location("efficientnet_lite0_example", FILE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    model, (x,) = example.pretrained()
    assert x.shape == (1, 3, 224, 224)
    with np.load(kit / "imagenet_photos" / "photos224_0.npz") as photos:
        ends, jpeg, truth = photos["offset"][:21], photos["jpeg"], photos["y"][:20]
    files = [Image.open(io.BytesIO(jpeg[a:b].tobytes())) for a, b in zip(ends, ends[1:])]
    pixels = np.stack([np.asarray(file.convert("RGB"), np.float32) for file in files])
    with torch.no_grad():
        named = model(torch.from_numpy((pixels - 127) / 128).permute(0, 3, 1, 2)).argmax(1).numpy()
    assert (named == truth).sum() == 18
