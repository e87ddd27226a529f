"""Networks that answer for every place of an image: segmentation and detection."""

import torch
from torch import nn

from tests.models import InvertedResidual, conv_bn
from tests.zoo.seeding import seeded


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_bn(inputs, outputs, act=nn.ReLU), conv_bn(outputs, outputs, act=nn.ReLU))


class UNet(nn.Module):
    """Ronneberger et al. 2015, with batch norm and padding; up by transposed convolution, or bilinear with
    corners aligned."""

    def __init__(self, bilinear: bool, widths=(8, 16, 32, 64, 128), classes: int = 3):
        super().__init__()
        self.first, self.pool = double_conv(3, widths[0]), nn.MaxPool2d(2)
        steps = list(zip(widths, widths[1:]))
        self.down = nn.ModuleList(double_conv(fine, coarse) for fine, coarse in steps)
        self.up = nn.ModuleList(self.upsample(fine, coarse, bilinear) for fine, coarse in steps[::-1])
        self.merge = nn.ModuleList(double_conv(fine + (coarse if bilinear else fine), fine)
                                   for fine, coarse in steps[::-1])
        self.last = nn.Conv2d(widths[0], classes, 1)

    @staticmethod
    def upsample(fine: int, coarse: int, bilinear: bool) -> nn.Module:
        return (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True) if bilinear
                else nn.ConvTranspose2d(coarse, fine, 2, 2))

    def forward(self, x):
        kept = [self.first(x)]
        for down in self.down:
            kept.append(down(self.pool(kept[-1])))
        x = kept.pop()
        for up, merge in zip(self.up, self.merge):
            x = merge(torch.cat([kept.pop(), up(x)], dim=1))
        return self.last(x)


class SSD(nn.Module):
    """Liu et al. 2016 on inverted residuals (SSDLite): two 3x3 heads on each of four scales.

    Gives (boxes (1, N, 4), scores (1, N, classes) after softmax).
    """

    def __init__(self, classes: int = 6, anchors: int = 4):
        super().__init__()
        self.classes = classes
        widths = (24, 32, 48, 64)
        self.stem = nn.Sequential(conv_bn(3, 16, stride=2), InvertedResidual(16, 16, 2, 3))
        self.scales = nn.ModuleList(nn.Sequential(InvertedResidual(inputs, outputs, 2, 4),
                                                  InvertedResidual(outputs, outputs, 1, 4))
                                    for inputs, outputs in zip((16, *widths), widths))
        self.box = nn.ModuleList(self.head(width, 4 * anchors) for width in widths)
        self.score = nn.ModuleList(self.head(width, classes * anchors) for width in widths)

    @staticmethod
    def head(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(conv_bn(inputs, inputs, groups=inputs), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x):
        x, boxes, scores = self.stem(x), [], []
        for scale, box, score in zip(self.scales, self.box, self.score):
            x = scale(x)
            boxes.append(box(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4))
            scores.append(score(x).permute(0, 2, 3, 1).reshape(len(x), -1, self.classes))
        return torch.cat(boxes, 1), torch.cat(scores, 1).softmax(-1)


def silu(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return conv_bn(inputs, outputs, kernel, stride, act=nn.SiLU)


class C2f(nn.Module):
    """Two halves, one goes through bottlenecks, all of them are joined (Ultralytics, YOLOv8)."""

    def __init__(self, inputs: int, outputs: int, residual: bool = True):
        super().__init__()
        self.half = outputs // 2
        self.enter, self.leave = silu(inputs, outputs), silu(3 * self.half, outputs)
        self.bottleneck = nn.Sequential(silu(self.half, self.half, 3), silu(self.half, self.half, 3))
        self.residual = residual

    def forward(self, x):
        first, second = self.enter(x).chunk(2, 1)
        third = self.bottleneck(second)
        return self.leave(torch.cat((first, second, second + third if self.residual else third), 1))


class SPPF(nn.Module):
    """Spatial pyramid pooling, one pool three times."""

    def __init__(self, channels: int):
        super().__init__()
        self.enter, self.leave = silu(channels, channels // 2), silu(2 * channels, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        levels = [self.enter(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.leave(torch.cat(levels, 1))


class Yolo(nn.Module):
    """An anchor-free detector after YOLOv8, without its distribution of distances: backbone, a top-down
    path, two scales, boxes decoded on constant grids.

    Gives (boxes (1, 4, N) as centre and size in pixels, scores (1, classes, N)).
    """

    def __init__(self, side: int, classes: int = 8, width: int = 16):
        super().__init__()
        one, two, three, four = (width * factor for factor in (1, 2, 4, 8))
        self.fine = nn.Sequential(silu(3, one, 3, 2), silu(one, two, 3, 2), C2f(two, two),
                                  silu(two, three, 3, 2), C2f(three, three))
        self.coarse = nn.Sequential(silu(three, four, 3, 2), C2f(four, four), SPPF(four))
        self.up, self.merge = nn.Upsample(scale_factor=2, mode="nearest"), C2f(three + four, three, False)
        self.box = nn.ModuleList(self.head(inputs, 4) for inputs in (three, four))
        self.score = nn.ModuleList(self.head(inputs, classes) for inputs in (three, four))
        grids = [self.grid(side // stride) for stride in (8, 16)]
        strides = [torch.full((1, (side // stride) ** 2), float(stride)) for stride in (8, 16)]
        self.register_buffer("anchors", torch.cat(grids, 1)[None])
        self.register_buffer("strides", torch.cat(strides, 1)[None])

    @staticmethod
    def head(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(silu(inputs, 16, 3), nn.Conv2d(16, outputs, 1))

    @staticmethod
    def grid(side: int) -> torch.Tensor:
        """(2, side * side): the cells' centres, x and y."""
        y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
        return torch.stack((x.flatten(), y.flatten()))

    def forward(self, x):
        fine = self.fine(x)
        coarse = self.coarse(fine)
        features = self.merge(torch.cat((self.up(coarse), fine), 1)), coarse
        boxes, scores = (torch.cat([head(f).flatten(2) for head, f in zip(heads, features)], 2)
                         for heads in (self.box, self.score))
        before, after = boxes.sigmoid().mul(4).chunk(2, 1)
        start, end = self.anchors - before, self.anchors + after
        return torch.cat(((start + end) / 2, end - start), 1) * self.strides, scores.sigmoid()


def unet_transposed():
    return seeded(lambda: UNet(bilinear=False), 3, 96, 96)


def unet_bilinear():
    return seeded(lambda: UNet(bilinear=True), 3, 96, 96)


def ssd():
    return seeded(SSD, 3, 128, 128)


def yolo():
    return seeded(lambda: Yolo(128), 3, 128, 128)
