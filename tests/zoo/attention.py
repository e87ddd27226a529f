"""Networks that attend: keywords, images and text."""

import torch
from torch import nn
from torch.nn import functional

from tests.models import InvertedResidual, conv_bn
from tests.zoo.seeding import seeded, words


class KeywordTransformer(nn.Module):
    """Berg et al. 2021 (KWT-1, narrower): a frame of 40 coefficients is a token; norms come last."""

    def __init__(self, frames: int = 49, bands: int = 40, width: int = 64, heads: int = 2, depth: int = 4,
                 classes: int = 12):
        super().__init__()
        self.embed = nn.Linear(bands, width)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(0.5 * torch.randn(1, frames + 1, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x.squeeze(1))
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.position
        return self.head(self.encoder(x)[:, 0])


class Attention(nn.Module):
    """Queries, keys and values of one linear layer, split as timm does it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """Attention and a perceptron, each with a norm before it and a shortcut around it."""

    def __init__(self, attention: nn.Module, width: int, hidden: int, act, norm=nn.LayerNorm):
        super().__init__()
        self.norm1, self.attention = norm(width), attention
        self.norm2 = norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), act, nn.Linear(hidden, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Dosovitskiy et al. 2021, small: patches of 8 x 8, a class token, GELU by its error function."""

    def __init__(self, side: int, patch: int = 8, width: int = 96, heads: int = 3, depth: int = 4,
                 classes: int = 10):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(0.5 * torch.randn(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(Attention(width, heads), width, 3 * width, nn.GELU())
                                      for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class MobileViTBlock(nn.Module):
    """Mehta and Rastegari 2022: convolutions see near, attention among the same pixels of all patches far."""

    def __init__(self, channels: int, width: int, depth: int, patch: int = 2):
        super().__init__()
        self.patch = patch
        self.near = nn.Sequential(conv_bn(channels, channels, act=nn.SiLU), nn.Conv2d(channels, width, 1))
        self.far = nn.Sequential(*(Block(Attention4d(width, 2), width, 2 * width, nn.SiLU())
                                   for _ in range(depth)))
        self.norm, self.back = nn.LayerNorm(width), conv_bn(width, channels, 1, act=nn.SiLU)
        self.merge = conv_bn(2 * channels, channels, act=nn.SiLU)

    def forward(self, x):
        y = self.near(x)
        batch, width, height, breadth = y.shape
        rows, columns = height // self.patch, breadth // self.patch
        y = y.reshape(batch, width, rows, self.patch, columns, self.patch)
        y = y.permute(0, 3, 5, 2, 4, 1).reshape(batch, self.patch ** 2, rows * columns, width)
        y = self.norm(self.far(y))
        y = y.reshape(batch, self.patch, self.patch, rows, columns, width)
        y = y.permute(0, 5, 3, 1, 4, 2).reshape(batch, width, height, breadth)
        return self.merge(torch.cat((x, self.back(y)), 1))


class Attention4d(nn.Module):
    """Attention along the last axis but one, by hand."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in self.qkv(x).chunk(3, -1))
        weights = (q @ k.transpose(-1, -2) * self.scale).softmax(-1)
        return self.out((weights @ v).transpose(2, 3).flatten(3))


class MobileViT(nn.Sequential):
    def __init__(self, classes: int = 10):
        super().__init__(
            conv_bn(3, 16, stride=2, act=nn.SiLU), InvertedResidual(16, 24, 2, 2), MobileViTBlock(24, 48, 2),
            InvertedResidual(24, 32, 2, 2), MobileViTBlock(32, 64, 2), conv_bn(32, 96, 1, act=nn.SiLU),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, classes))


class TextTransformer(nn.Module):
    """Tokens attend to those before them; root-mean-square norms, GELU by tanh, the mean is classified."""

    def __init__(self, vocabulary: int, length: int, width: int = 64, heads: int = 4, depth: int = 3,
                 classes: int = 4):
        super().__init__()
        self.embed, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.register_buffer("places", torch.arange(length))
        self.register_buffer("later", torch.ones(length, length, dtype=torch.bool).triu(1))
        self.blocks = nn.ModuleList(
            Block(nn.MultiheadAttention(width, heads, batch_first=True), width, 4 * width,
                  nn.GELU("tanh"), nn.RMSNorm) for _ in range(depth))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, classes)

    def forward(self, tokens):
        x = self.embed(tokens) + self.position(self.places)
        for block in self.blocks:
            y = block.norm1(x)
            x = x + block.attention(y, y, y, attn_mask=self.later, need_weights=False)[0]
            x = x + block.mlp(block.norm2(x))
        return self.head(self.norm(x).mean(1))


def keyword_transformer():
    return seeded(KeywordTransformer, 1, 49, 40)


def vit():
    return seeded(lambda: ViT(64), 3, 64, 64)


def mobilevit():
    return seeded(MobileViT, 3, 64, 64)


def text_transformer():
    """64 of 500 words."""
    return seeded(lambda: TextTransformer(500, 64), 64, draw=words)
