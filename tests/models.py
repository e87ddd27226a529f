"""Small networks in plain torch, for the tests: seeded, so that their numbers stay the same."""

import torch
from torch import nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act=nn.ReLU6):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual (He et al. 2016); the shortcut is 1x1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else conv_bn(inputs, outputs, 1, stride, act=None)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ResNet(nn.Module):
    """layers: (channels, blocks, stride) of each stage. large: with the stem of ImageNet networks."""

    def __init__(self, layers, classes: int = 10, large: bool = False):
        super().__init__()
        width = layers[0][0]
        stem = conv_bn(3, width, 7, 2, act=nn.ReLU) if large else conv_bn(3, width, act=nn.ReLU)
        self.stem = nn.Sequential(*stem, *([nn.MaxPool2d(3, 2, 1)] if large else []))
        blocks, inputs = [], width
        for outputs, count, stride in layers:
            for index in range(count):
                blocks.append(BasicBlock(inputs, outputs, stride if index == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.fc(torch.flatten(x, 1))


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions (Howard et al. 2017); strides: one block each, 2 doubles the width."""

    def __init__(self, width: int = 8, strides=(1, 2, 1, 2), classes: int = 2):
        super().__init__()
        blocks, channels = [conv_bn(3, width, stride=2, act=nn.ReLU)], width
        for stride in strides:
            blocks.append(conv_bn(channels, channels, stride=stride, groups=channels, act=nn.ReLU))
            blocks.append(conv_bn(channels, channels * stride, 1, act=nn.ReLU))
            channels *= stride
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        x = functional.avg_pool2d(self.features(x), x.shape[-1] // 8)
        return functional.softmax(self.classifier(x.flatten(1)), dim=1)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int):
        super().__init__()
        hidden = inputs * expand
        layers = [conv_bn(inputs, hidden, 1)] if expand != 1 else []
        self.conv = nn.Sequential(*layers, conv_bn(hidden, hidden, stride=stride, groups=hidden),
                                  conv_bn(hidden, outputs, 1, act=None))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """blocks: (outputs, stride, expand)."""

    def __init__(self, blocks=((8, 1, 1), (16, 2, 4), (16, 1, 4), (24, 2, 4), (24, 1, 4)), classes: int = 10):
        super().__init__()
        layers, channels = [conv_bn(3, 8, stride=2)], 8
        for outputs, stride, expand in blocks:
            layers.append(InvertedResidual(channels, outputs, stride, expand))
            channels = outputs
        layers.append(conv_bn(channels, 64, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class SensorNet(nn.Module):
    """1-D convolutions over windows of a sensor, [N, channels, samples]."""

    def __init__(self, channels: int = 6, classes: int = 7):
        super().__init__()
        self.conv1 = nn.Conv1d(channels, 16, 5, padding="same")
        self.bn1 = nn.BatchNorm1d(16)
        self.conv2 = nn.Conv1d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm1d(32)
        self.pool = nn.MaxPool1d(2)
        self.fc1 = nn.Linear(32 * 12, 24)
        self.fc2 = nn.Linear(24, classes)

    def forward(self, x):
        x = self.pool(functional.relu(self.bn1(self.conv1(x))))
        x = functional.avg_pool1d(functional.relu(self.bn2(self.conv2(x))), 2)
        x = functional.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def settle(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch norms statistics and scales of their own, as training would: folding then has work to do."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            size = layer.num_features
            layer.running_mean = torch.randn(size, generator=generator) * 0.2
            layer.running_var = torch.rand(size, generator=generator) + 0.5
            layer.weight.data = torch.rand(size, generator=generator) + 0.5
            layer.bias.data = torch.randn(size, generator=generator) * 0.2
    return module.eval()


def seeded(make, *args, **kwargs) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return settle(make(*args, **kwargs))


def resnet8() -> tuple[nn.Module, tuple]:
    """The image classification network of MLPerf Tiny."""
    return seeded(ResNet, [(16, 1, 1), (32, 1, 2), (64, 1, 2)]), (torch.randn(1, 3, 32, 32),)


def resnet18() -> tuple[nn.Module, tuple]:
    layers = [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]
    return seeded(ResNet, layers, classes=1000, large=True), (torch.randn(1, 3, 64, 64),)


def mobilenet_v1() -> tuple[nn.Module, tuple]:
    return seeded(MobileNetV1), (torch.randn(1, 3, 32, 32),)


def mobilenet_v2() -> tuple[nn.Module, tuple]:
    return seeded(MobileNetV2), (torch.randn(1, 3, 32, 32),)


def sensor_net() -> tuple[nn.Module, tuple]:
    return seeded(SensorNet), (torch.randn(1, 6, 100),)


NETWORKS = {make.__name__: make for make in (resnet8, resnet18, mobilenet_v1, mobilenet_v2, sensor_net)}
