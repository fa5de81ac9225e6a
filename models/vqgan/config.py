"""The VQ-GAN's configuration: taming's `ddconfig` fields, plus what taming hard-codes."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class VQGANConfig(BaseModel):
    """Architecture of a VQ-GAN. Field names are taming-transformers' own; unknown fields fail.

    `norm_groups` is 32 in taming; small models need fewer. `out_ch` and `in_channels` are grey (1) or RGB (3).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: int = Field(gt=0, le=4096)
    in_channels: int = Field(ge=1, le=3)
    out_ch: int = Field(ge=1, le=3)
    ch: int = Field(gt=0, le=8192)
    ch_mult: tuple[Annotated[int, Field(gt=0, le=64)], ...] = Field(min_length=1, max_length=12)
    num_res_blocks: int = Field(gt=0, le=64)
    attn_resolutions: tuple[int, ...] = ()
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    resamp_with_conv: bool = True
    double_z: bool = False
    z_channels: int = Field(gt=0, le=65536)
    embed_dim: int = Field(gt=0, le=65536)
    n_embed: int = Field(gt=1, le=2**24)
    norm_groups: int = Field(default=32, gt=0)
    norm_eps: float = Field(default=1e-6, gt=0.0)

    @property
    def downsampling(self) -> int:
        """Pixels per token along one side."""
        return int(2 ** (len(self.ch_mult) - 1))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the token grid at the configured resolution."""
        side = self.resolution // self.downsampling
        return side, side

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.double_z:
            raise ValueError("double_z belongs to a KL autoencoder; a VQ-GAN has double_z false")
        if self.in_channels != self.out_ch:
            raise ValueError(f"in_channels {self.in_channels} and out_ch {self.out_ch} differ")
        if self.resolution % self.downsampling:
            raise ValueError(f"resolution {self.resolution} is not divisible by {self.downsampling}")
        widths = {self.ch, *(self.ch * mult for mult in self.ch_mult)}
        uneven = sorted(width for width in widths if width % self.norm_groups)
        if uneven:
            raise ValueError(f"channel widths {uneven} are not divisible by {self.norm_groups} norm groups")
        return self
