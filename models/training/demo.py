"""The recipe of the embedded bundle: image tokenizer, codes of every radiograph, tokenizer, language model.

Every stage writes its result below `out` and is skipped when it is there, so the recipe continues where it stopped.
"""

from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from tokenizers import Tokenizer
from transformers import GPTNeoXForCausalLM

from models.bundle import Decoding, DecodingDefaults
from models.prompts import Prompts
from models.training.data import Study, pack_images, read_index, rows_of
from models.training.instruct import InstructRecipe, InstructTrainer, Mixture, build_model, train_instruct
from models.training.tokenizer import train_tokenizer
from models.training.vqgan import VQGANRecipe, train_vqgan
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN, VQGANConfig
from models.vqgan.pixels import to_pixels

# Few channels at full resolution: on a CPU they cost as much as the rest together.
VQGAN_CONFIG = VQGANConfig(
    resolution=256,
    in_channels=1,
    out_ch=1,
    ch=8,
    ch_mult=(1, 2, 4, 8, 16),
    num_res_blocks=1,
    attn_resolutions=(),
    z_channels=64,
    embed_dim=16,
    n_embed=1024,
    norm_groups=8,
)
TEXT_SIZE = 640
WIDTH, LAYERS, HEADS = 192, 6, 3


class DemoRecipe:
    """The stages over one data folder and one output folder."""

    # A small model wanders at temperature 1; texts are short, so a low one costs no variety that matters.
    decoding = DecodingDefaults(
        report=Decoding(temperature=0.2, top_p=0.92, max_tokens=96),
        answer=Decoding(temperature=0.0, top_p=1.0, max_tokens=32),
        draw=Decoding(temperature=0.9, top_p=0.92, max_tokens=256),
    )

    def __init__(self, data: Path, out: Path, vqgan: VQGANRecipe, instruct: InstructRecipe) -> None:
        self.data = data
        self.out = out
        self._vqgan_recipe = vqgan
        self._instruct_recipe = instruct
        self.studies = read_index(data / "index.csv")
        self.images = pack_images(data, self.studies, VQGAN_CONFIG.resolution, out / "images.npy")

    def _training_studies(self) -> list[Study]:
        return [study for study in self.studies if study.split == "train"]

    def vqgan(self) -> VQGAN:
        """The trained image tokenizer."""
        if (self.out / "vqgan" / "config.json").exists():
            return VQGAN.load(self.out / "vqgan")
        rows = rows_of(self.studies, "train")
        return train_vqgan(VQGAN_CONFIG, self._vqgan_recipe, self.images, rows, self.out)

    def codes(self, model: VQGAN) -> np.ndarray:
        """Codes of every radiograph: int64 (N, grid)."""
        file = self.out / "codes.npy"
        if file.exists():
            return np.load(file)
        found = []
        with torch.inference_mode():
            for image in track(self.images, description="Encoding"):
                found.append(model.encode(to_pixels(image[None], model.config.in_channels))[0].numpy())
        np.save(file, np.stack(found))
        return np.load(file)

    def vocabulary(self) -> Vocabulary:
        """The tokenizer, trained once, with the codes behind it."""
        file = self.out / "tokenizer.json"
        if not file.exists():
            train_tokenizer(self._training_studies(), TEXT_SIZE).save(str(file))
        return Vocabulary.of(Tokenizer.from_file(str(file)), TEXT_SIZE, TEXT_SIZE, VQGAN_CONFIG.n_embed)

    def language_model(self, vocabulary: Vocabulary, codes: np.ndarray) -> GPTNeoXForCausalLM:
        """The trained language model."""
        torch.manual_seed(self._instruct_recipe.seed)
        model = build_model(vocabulary, WIDTH, LAYERS, HEADS)
        rows = rows_of(self.studies, "train")
        mixture = Mixture(Prompts(vocabulary), [self.studies[row] for row in rows], codes[rows], self._instruct_recipe)
        train_instruct(InstructTrainer(model, mixture, vocabulary, self._instruct_recipe), self.out)
        return model
