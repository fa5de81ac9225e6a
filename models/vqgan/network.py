"""Encoder and decoder of the VQ-GAN.

Layer order and module names follow taming-transformers (CompVis, Esser et al. 2021), because published
checkpoints are loaded by name: GroupNorm, swish, 3x3 convolutions, single-head attention at the listed resolutions.
"""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from models.vqgan.config import VQGANConfig


def _norm(channels: int, config: VQGANConfig) -> nn.GroupNorm:
    return nn.GroupNorm(config.norm_groups, channels, eps=config.norm_eps)


class ResnetBlock(nn.Module):
    """Two norm-swish-convolution steps around a residual; a 1x1 shortcut where the width changes."""

    def __init__(self, in_channels: int, out_channels: int, config: VQGANConfig) -> None:
        super().__init__()
        self.norm1 = _norm(in_channels, config)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = _norm(out_channels, config)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.widens = in_channels != out_channels

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return cast(Tensor, (self.nin_shortcut(x) if self.widens else x) + h)


class AttnBlock(nn.Module):
    """Single-head self-attention over all positions, with 1x1 convolutions as projections."""

    def __init__(self, channels: int, config: VQGANConfig) -> None:
        super().__init__()
        self.norm = _norm(channels, config)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        h = self.norm(x)
        q, k, v = (proj(h).flatten(2).transpose(1, 2) for proj in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        return cast(Tensor, x + self.proj_out(h.transpose(1, 2).reshape(batch, channels, height, width)))


class Downsample(nn.Module):
    """Half the resolution: a stride-2 convolution padded on the right and the bottom only, or average pooling."""

    def __init__(self, channels: int, config: VQGANConfig) -> None:
        super().__init__()
        self.with_conv = config.resamp_with_conv
        if self.with_conv:
            self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1))) if self.with_conv else F.avg_pool2d(x, 2)


class Upsample(nn.Module):
    """Twice the resolution: nearest neighbour, then a convolution when configured."""

    def __init__(self, channels: int, config: VQGANConfig) -> None:
        super().__init__()
        self.with_conv = config.resamp_with_conv
        if self.with_conv:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv(x) if self.with_conv else x


class Middle(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    def __init__(self, channels: int, config: VQGANConfig) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels, config)
        self.attn_1 = AttnBlock(channels, config)
        self.block_2 = ResnetBlock(channels, channels, config)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.block_2(self.attn_1(self.block_1(x))))


class Level(nn.Module):
    """The blocks of one resolution, and the resampling that leads to the next."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int, attend: bool, config: VQGANConfig) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * blocks
        self.block = nn.ModuleList(ResnetBlock(i, o, config) for i, o in pairwise(widths))
        self.attn = nn.ModuleList(AttnBlock(out_channels, config) for _ in range(blocks if attend else 0))

    def forward(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.block):
            x = block(x)
            if len(self.attn) > 0:
                x = self.attn[index](x)
        for resample in ("downsample", "upsample"):
            if hasattr(self, resample):
                x = getattr(self, resample)(x)
        return x


class Encoder(nn.Module):
    """Image (B, in_channels, H, W) -> features (B, z_channels, H/f, W/f)."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = [config.ch] + [config.ch * mult for mult in config.ch_mult]
        levels = len(config.ch_mult)
        self.conv_in = nn.Conv2d(config.in_channels, config.ch, 3, padding=1)
        self.down = nn.ModuleList()
        for index in range(levels):
            attend = config.resolution // 2**index in config.attn_resolutions
            level = Level(widths[index], widths[index + 1], config.num_res_blocks, attend, config)
            if index < levels - 1:
                level.downsample = Downsample(widths[index + 1], config)
            self.down.append(level)
        self.mid = Middle(widths[-1], config)
        self.norm_out = _norm(widths[-1], config)
        self.conv_out = nn.Conv2d(widths[-1], config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return cast(Tensor, self.conv_out(F.silu(self.norm_out(self.mid(h)))))


class Decoder(nn.Module):
    """Features (B, z_channels, H/f, W/f) -> image (B, out_ch, H, W), not clipped."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        widths = [config.ch * mult for mult in config.ch_mult]
        levels = len(widths)
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config)
        self.up = nn.ModuleList()
        for index in range(levels):
            attend = config.resolution // 2**index in config.attn_resolutions
            below = widths[min(index + 1, levels - 1)]
            level = Level(below, widths[index], config.num_res_blocks + 1, attend, config)
            if index > 0:
                level.upsample = Upsample(widths[index], config)
            self.up.append(level)
        self.norm_out = _norm(widths[0], config)
        self.conv_out = nn.Conv2d(widths[0], config.out_ch, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return cast(Tensor, self.conv_out(F.silu(self.norm_out(h))))
