"""Networks of the same kinds as MLPerf Tiny's, in other shapes: channels that are no multiples of four, other
windows, other images.

Seeded weights: what is measured of them is how they run, not what they know.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn
from torch.nn import functional

from tests.models import InvertedResidual, ResNet, SensorNet, conv_bn
from tests.zoo.mobile import MobileNetV1, classifier
from tests.zoo.seeding import seeded
from tests.zoo.small import DSCNN, AutoEncoder


class Keywords5x5(nn.Sequential):
    """A strided 5x5, then depthwise 5x5 and 1x1: keywords in 40 bands of 61 frames."""

    def __init__(self, widths=(20, 28, 36), classes: int = 10):
        layers = [conv_bn(1, widths[0], 5, 2, act=nn.ReLU)]
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [conv_bn(inputs, inputs, 5, 2, groups=inputs), conv_bn(inputs, outputs, 1, act=nn.ReLU)]
        super().__init__(*layers, classifier(widths[-1], classes), nn.Softmax(1))


class TemporalBlock(nn.Module):
    """Two 9x1 convolutions with a residual (Choi et al. 2019, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, outputs, 9, stride, 4, bias=False)
        self.bn1 = nn.BatchNorm1d(outputs)
        self.conv2 = nn.Conv1d(outputs, outputs, 9, 1, 4, bias=False)
        self.bn2 = nn.BatchNorm1d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv1d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class TCResNet8(nn.Sequential):
    """Choi et al. 2019, "Temporal Convolution for Real-time Keyword Spotting on Mobile Devices": 40 bands as
    channels, 101 frames."""

    def __init__(self, widths=(16, 24, 32, 48), classes: int = 12):
        blocks = [TemporalBlock(a, b, 2) for a, b in zip(widths, widths[1:])]
        super().__init__(nn.Conv1d(40, widths[0], 3, 1, 1, bias=False), *blocks, nn.AdaptiveAvgPool1d(1),
                         nn.Flatten(), nn.Linear(widths[-1], classes))


class SmallMobileNetV2(nn.Sequential):
    """Sandler et al. 2018 at 0.35 of the width, without its last and widest stages."""

    STAGES = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 2, 2), (6, 32, 1, 1))

    def __init__(self, classes: int = 5):
        layers, channels = [conv_bn(3, 16, stride=2)], 16
        for expand, outputs, count, stride in self.STAGES:
            for index in range(count):
                layers.append(InvertedResidual(channels, outputs, stride if index == 0 else 1, expand))
                channels = outputs
        super().__init__(*layers, conv_bn(channels, 96, 1), classifier(96, classes))


def _resnet(widths: tuple[int, ...], blocks: int) -> ResNet:
    return ResNet([(width, blocks, 1 if i == 0 else 2) for i, width in enumerate(widths)])


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ds_cnn_24": (partial(DSCNN, 24), (1, 49, 10)),
    "ds_cnn_40": (partial(DSCNN, 40), (1, 49, 10)),
    "ds_cnn_72": (partial(DSCNN, 72), (1, 49, 10)),
    "kws_5x5": (Keywords5x5, (1, 61, 40)),
    "tc_resnet8": (TCResNet8, (40, 101)),
    "sensor": (SensorNet, (6, 96)),
    "mobilenet_v1_64": (partial(MobileNetV1, 0.35, 2), (3, 64, 64)),
    "mobilenet_v1_128": (partial(MobileNetV1, 0.35, 2), (3, 128, 128)),
    "mobilenet_v2_96": (SmallMobileNetV2, (3, 96, 96)),
    "resnet8_12": (partial(_resnet, (12, 20, 40), 1), (3, 32, 32)),
    "resnet14_12": (partial(_resnet, (12, 20, 40), 2), (3, 32, 32)),
    "autoencoder_100": (partial(AutoEncoder, 100), (1, 5, 128)),
    "autoencoder_300": (partial(AutoEncoder, 300), (1, 5, 128)),
}
"""Name -> the network, and one sample's shape, channels first."""


def network(name: str) -> tuple[nn.Module, tuple]:
    """(network, example) of NETWORKS."""
    make, shape = NETWORKS[name]
    return seeded(make, *shape)
