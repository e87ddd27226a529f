"""Networks of microcontroller size: keywords, sequences, machines that hum."""

from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from tests.models import conv_bn
from tests.zoo.mobile import classifier
from tests.zoo.seeding import seeded


class DSCNN(nn.Module):
    """Zhang et al. 2017 as MLPerf Tiny has it: keywords in 49 frames of 10 coefficients."""

    def __init__(self, width: int = 64):
        super().__init__()
        stem = nn.Conv2d(1, width, (10, 4), 2, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU())
        separable = [conv_bn(width, width, groups=groups, kernel=kernel, act=nn.ReLU)
                     for _ in range(4) for groups, kernel in ((width, 3), (1, 1))]
        self.blocks, self.classifier = nn.Sequential(*separable), classifier(width, 12)

    def forward(self, x):
        x = self.stem(functional.pad(x, (1, 1, 4, 5)))
        return self.classifier(self.blocks(x)).softmax(1)


class CausalConv(nn.Sequential):
    """Padded on both sides, what looks ahead is cut off (Bai et al. 2018); the weight is normed."""

    def __init__(self, inputs: int, outputs: int, dilation: int, kernel: int = 3):
        self.ahead = dilation * (kernel - 1)
        conv = nn.Conv1d(inputs, outputs, kernel, padding=self.ahead, dilation=dilation)
        super().__init__(weight_norm(conv))

    def forward(self, x):
        return functional.relu(super().forward(x)[:, :, :-self.ahead])


class TemporalBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        self.convs = nn.Sequential(CausalConv(inputs, outputs, dilation),
                                   CausalConv(outputs, outputs, dilation))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return functional.relu(self.convs(x) + self.shortcut(x))


class TCN(nn.Module):
    """Bai et al. 2018: dilations double; the last step of the sequence is classified."""

    def __init__(self, inputs: int = 6, width: int = 32, classes: int = 7):
        super().__init__()
        widths = (inputs, *[width] * 4)
        self.blocks = nn.Sequential(*(TemporalBlock(a, width, 2 ** i) for i, a in enumerate(widths[:4])))
        self.linear = nn.Linear(width, classes)

    def forward(self, x):
        return self.linear(self.blocks(x)[:, :, -1])


class AutoEncoder(nn.Sequential):
    """MLPerf Tiny's anomaly detection: 640 spectrogram values through 8 and back."""

    def __init__(self, width: int = 128):
        widths = (640, *[width] * 4, 8, *[width] * 4)
        layers = [layer for a, b in zip(widths, widths[1:])
                  for layer in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())]
        super().__init__(nn.Flatten(), *layers, nn.Linear(width, 640))


def ds_cnn():
    return seeded(DSCNN, 1, 49, 10)


def tcn():
    return seeded(TCN, 6, 128)


def autoencoder():
    """Five frames of 128 bands."""
    return seeded(AutoEncoder, 1, 5, 128)
