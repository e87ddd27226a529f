"""Deeper classifiers, as published, for ImageNet's 1000 classes."""

import torch
from torch import nn
from torch.nn import functional

from tests.models import ResNet, conv_bn
from tests.zoo.mobile import SqueezeExcite, classifier
from tests.zoo.seeding import seeded


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 with a residual: ResNet-50's block (stride on the 3x3), and RegNetY's, whose 3x3 is
    grouped and followed by squeeze and excite."""

    def __init__(self, inputs, inner, outputs, stride, groups=1, squeezed=0):
        super().__init__()
        layers = [conv_bn(inputs, inner, 1, act=nn.ReLU),
                  conv_bn(inner, inner, 3, stride, groups=groups, act=nn.ReLU)]
        if squeezed:
            layers.append(SqueezeExcite(inner, squeezed, nn.Sigmoid))
        self.block = nn.Sequential(*layers, conv_bn(inner, outputs, 1, act=None))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride, act=None)

    def forward(self, x):
        return functional.relu(self.block(x) + self.shortcut(x), inplace=True)


class ResNet50(nn.Sequential):
    """He et al. 2016, table 1."""

    def __init__(self):
        layers, channels = [conv_bn(3, 64, 7, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1)], 64
        for inner, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(count):
                layers.append(Bottleneck(channels, inner, 4 * inner, stride if index == 0 else 1))
                channels = 4 * inner
        super().__init__(*layers, classifier(channels))


class RegNetY(nn.Sequential):
    """Radosavovic et al. 2020, RegNetY-400MF: groups of 8, squeezed to a quarter of the block's input."""

    def __init__(self):
        layers, channels = [conv_bn(3, 32, stride=2, act=nn.ReLU)], 32
        for width, count in ((48, 1), (104, 3), (208, 6), (440, 6)):
            for index in range(count):
                stride = 2 if index == 0 else 1
                layers.append(Bottleneck(channels, width, width, stride, width // 8, round(channels / 4)))
                channels = width
        super().__init__(*layers, classifier(channels))


def bn_relu_conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Batch norm first: nothing before it takes it in."""
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(),
                         nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))


class DenseBlock(nn.Module):
    """Each layer sees all before it (Huang et al. 2017), growth 32, bottleneck 4."""

    def __init__(self, inputs: int, count: int, growth: int = 32):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(bn_relu_conv(inputs + i * growth, 4 * growth, 1),
                                                  bn_relu_conv(4 * growth, growth, 3)) for i in range(count))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class DenseNet121(nn.Sequential):
    def __init__(self):
        layers, channels = [conv_bn(3, 64, 7, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1)], 64
        for count in (6, 12, 24, 16):
            layers.append(DenseBlock(channels, count))
            channels += 32 * count
            if count != 16:
                layers += [bn_relu_conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
                channels //= 2
        super().__init__(*layers, nn.BatchNorm2d(channels), nn.ReLU(), classifier(channels))


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of an image, channels last for as long as it takes (torchvision's)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Liu et al. 2022, figure 4: depthwise 7x7, layer norm, two linear layers, layer scale."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(),
                                 nn.Linear(4 * channels, channels))
        self.scale = nn.Parameter(0.1 + 0.4 * torch.rand(channels, 1, 1))

    def forward(self, x):
        y = self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return x + self.scale * y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Sequential):
    """A ConvNeXt of microcontroller size, 100 classes."""

    def __init__(self, widths=(24, 48, 96, 192), counts=(2, 2, 4, 1), classes: int = 100):
        layers = [nn.Conv2d(3, widths[0], 4, 4), LayerNorm2d(widths[0], eps=1e-6)]
        for width, after, count in zip(widths, (*widths[1:], None), counts):
            layers += [ConvNeXtBlock(width) for _ in range(count)]
            if after:
                layers += [LayerNorm2d(width, eps=1e-6), nn.Conv2d(width, after, 2, 2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), LayerNorm2d(widths[-1], eps=1e-6), nn.Flatten(),
                         nn.Linear(widths[-1], classes))


def resnet18():
    stages = [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)]
    return seeded(lambda: ResNet(stages, 1000, large=True), 3, 128, 128)


def resnet50():
    return seeded(ResNet50, 3, 128, 128)


def regnet_y_400mf():
    return seeded(RegNetY, 3, 128, 128)


def densenet121():
    return seeded(DenseNet121, 3, 128, 128)


def convnext():
    return seeded(ConvNeXt, 3, 96, 96)
