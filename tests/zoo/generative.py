"""Networks that make images."""

from torch import nn

from tests.zoo.seeding import gaussian, seeded


class Generator(nn.Sequential):
    """DCGAN (Radford et al. 2016), 64 x 64, as PyTorch's tutorial has it."""

    def __init__(self, latent: int = 100, width: int = 64):
        layers, inputs = [], latent
        for factor, stride, padding in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
            outputs = factor * width
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU(True)]
            inputs = outputs
        super().__init__(*layers, nn.ConvTranspose2d(inputs, 3, 4, 2, 1, bias=False), nn.Tanh())


class Discriminator(nn.Sequential):
    def __init__(self, width: int = 64):
        layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for factor in (2, 4, 8):
            layers += [nn.Conv2d(factor * width // 2, factor * width, 4, 2, 1, bias=False),
                       nn.BatchNorm2d(factor * width), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten())


class ConvVAE(nn.Module):
    """Kingma and Welling 2014 with convolutions; at inference the mean is decoded.

    Gives (image (1, 1, 32, 32), mean (1, 16), log of the variance (1, 16)).
    """

    def __init__(self, latent: int = 16):
        super().__init__()
        widths = (1, 16, 32, 64)
        self.encoder = nn.Sequential(*(layer for a, b in zip(widths, widths[1:])
                                       for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.ReLU())), nn.Flatten())
        self.mean, self.log_variance = nn.Linear(1024, latent), nn.Linear(1024, latent)
        self.start = nn.Linear(latent, 1024)
        self.decoder = nn.Sequential(nn.Unflatten(1, (64, 4, 4)), nn.ReLU(), self.double(64, 32), nn.ReLU(),
                                     self.double(32, 16), nn.ReLU(), self.double(16, 1), nn.Sigmoid())

    @staticmethod
    def double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)

    def forward(self, x):
        x = self.encoder(x)
        mean = self.mean(x)
        return self.decoder(self.start(mean)), mean, self.log_variance(x)


def dcgan_generator():
    return seeded(Generator, 100, 1, 1, draw=gaussian)


def dcgan_discriminator():
    return seeded(Discriminator, 3, 64, 64)


def conv_vae():
    return seeded(ConvVAE, 1, 32, 32)
