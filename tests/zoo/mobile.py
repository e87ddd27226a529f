"""Networks for telephones, as published; ImageNet's 1000 classes where not said otherwise."""

import torch
from torch import nn
from torch.nn import functional

from tests.models import InvertedResidual, conv_bn
from tests.zoo.seeding import seeded


def classifier(inputs: int, classes: int = 1000) -> nn.Sequential:
    """Global average pooling and one linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(inputs, classes))


class MobileNetV1(nn.Sequential):
    """Howard et al. 2017, table 1."""

    BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
              (1024, 1))

    def __init__(self, width: float = 1.0, classes: int = 1000):
        channels = int(32 * width)
        layers = [conv_bn(3, channels, stride=2)]
        for outputs, stride in self.BLOCKS:
            outputs = int(outputs * width)
            layers += [conv_bn(channels, channels, stride=stride, groups=channels),
                       conv_bn(channels, outputs, 1)]
            channels = outputs
        super().__init__(*layers, classifier(channels, classes))


class MobileNetV2(nn.Sequential):
    """Sandler et al. 2018, table 2."""

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
              (6, 320, 1, 1))

    def __init__(self):
        layers, channels = [conv_bn(3, 32, stride=2)], 32
        for expand, outputs, count, stride in self.STAGES:
            for index in range(count):
                layers.append(InvertedResidual(channels, outputs, stride if index == 0 else 1, expand))
                channels = outputs
        super().__init__(*layers, conv_bn(channels, 1280, 1), classifier(1280))


class SqueezeExcite(nn.Module):
    """Hu et al. 2018; `gate` is hard in MobileNetV3, logistic in RegNetY."""

    def __init__(self, channels: int, squeezed: int, gate=nn.Hardsigmoid):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.relu, self.gate = nn.ReLU(), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.relu(self.fc1(self.pool(x)))))


class Bottleneck(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, inputs, kernel, expanded, outputs, excite, act, stride):
        super().__init__()
        layers = [conv_bn(inputs, expanded, 1, act=act)] if expanded != inputs else []
        layers.append(conv_bn(expanded, expanded, kernel, stride, groups=expanded, act=act))
        if excite:
            layers.append(SqueezeExcite(expanded, max(8, (expanded // 4 + 4) // 8 * 8)))
        self.block = nn.Sequential(*layers, conv_bn(expanded, outputs, 1, act=None))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class MobileNetV3Small(nn.Sequential):
    """Howard et al. 2019, table 2."""

    BLOCKS = ((16, 3, 16, 16, True, nn.ReLU, 2), (16, 3, 72, 24, False, nn.ReLU, 2),
              (24, 3, 88, 24, False, nn.ReLU, 1), (24, 5, 96, 40, True, nn.Hardswish, 2),
              *[(40, 5, 240, 40, True, nn.Hardswish, 1)] * 2, (40, 5, 120, 48, True, nn.Hardswish, 1),
              (48, 5, 144, 48, True, nn.Hardswish, 1), (48, 5, 288, 96, True, nn.Hardswish, 2),
              *[(96, 5, 576, 96, True, nn.Hardswish, 1)] * 2)

    def __init__(self):
        blocks = [Bottleneck(*row) for row in self.BLOCKS]
        super().__init__(conv_bn(3, 16, stride=2, act=nn.Hardswish), *blocks,
                         conv_bn(96, 576, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, 1000))


def channel_shuffle(x: torch.Tensor, groups: int = 2) -> torch.Tensor:
    """Zhang et al. 2018, as torchvision writes it."""
    n, channels, height, width = x.shape
    return x.view(n, groups, channels // groups, height, width).transpose(1, 2).contiguous().view(x.shape)


class ShuffleUnit(nn.Module):
    """Ma et al. 2018, figure 3 (c) and, where stride is 2, (d)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        half, self.halves = outputs // 2, stride == 1
        entering = half if self.halves else inputs
        if not self.halves:
            self.branch1 = nn.Sequential(conv_bn(inputs, inputs, stride=2, groups=inputs, act=None),
                                         conv_bn(inputs, half, 1, act=nn.ReLU))
        self.branch2 = nn.Sequential(conv_bn(entering, half, 1, act=nn.ReLU),
                                     conv_bn(half, half, stride=stride, groups=half, act=None),
                                     conv_bn(half, half, 1, act=nn.ReLU))

    def forward(self, x):
        if self.halves:
            kept, worked = x.chunk(2, dim=1)
            return channel_shuffle(torch.cat((kept, self.branch2(worked)), 1))
        return channel_shuffle(torch.cat((self.branch1(x), self.branch2(x)), 1))


class ShuffleNetV2(nn.Sequential):
    """Ma et al. 2018, table 5, 1x."""

    def __init__(self):
        layers, channels = [conv_bn(3, 24, stride=2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1)], 24
        for outputs, count in ((116, 4), (232, 8), (464, 4)):
            for index in range(count):
                layers.append(ShuffleUnit(channels, outputs, 2 if index == 0 else 1))
                channels = outputs
        super().__init__(*layers, conv_bn(channels, 1024, 1, act=nn.ReLU), classifier(1024))


class Fire(nn.Module):
    """Squeeze to 1x1, expand to 1x1 beside 3x3."""

    def __init__(self, inputs: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x):
        x = functional.relu(self.squeeze(x), inplace=True)
        return torch.cat([functional.relu(self.expand1x1(x)), functional.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Sequential):
    """Iandola et al. 2016, version 1.1: no batch norm, pooling in ceil mode."""

    def __init__(self):
        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        super().__init__(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(),
                         Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128), Fire(256, 32, 128),
                         pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256),
                         Fire(512, 64, 256), nn.Dropout(0.5), nn.Conv2d(512, 1000, 1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())


def mobilenet_v1():
    return seeded(MobileNetV1, 3, 160, 160)


def mobilenet_v1_vww():
    """MLPerf Tiny's visual wake words: a quarter of the width, two classes."""
    return seeded(lambda: MobileNetV1(0.25, 2), 3, 96, 96)


def mobilenet_v2():
    return seeded(MobileNetV2, 3, 224, 224)


def mobilenet_v3_small():
    return seeded(MobileNetV3Small, 3, 160, 160)


def shufflenet_v2():
    return seeded(ShuffleNetV2, 3, 160, 160)


def squeezenet():
    return seeded(SqueezeNet, 3, 128, 128)
