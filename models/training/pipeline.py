"""The phases of a recipe over one data set and one output folder.

Every phase writes its result below `out` and is skipped where the result exists, so a stopped run resumes.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from rich.console import Console
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from models.classifier import Classifier
from models.data.codes import tokenise
from models.data.dataset import DataError, rows_of
from models.data.images import grid, load_data
from models.data.wording import drawing_request
from models.generate import draw
from models.prompts import Prompts
from models.training.classifier import NAME as CLASSIFIER
from models.training.classifier import ClassifierTrainer, train_classifier
from models.training.instruct import InstructTrainer, train_instruct
from models.training.language_model import build_model, load_base
from models.training.loop import accelerator as default_accelerator
from models.training.mixture import KeptDrawings, Mixture, Phase, read_instructions
from models.training.recipe import OWN_CLASSIFIER, Recipe
from models.training.rejection_sampling import OwnDrawings, select
from models.training.tokenizer import extended_tokenizer, train_tokenizer
from models.training.vqgan import NAME as IMAGE_TOKENIZER
from models.training.vqgan import VQGANTrainer, train_vqgan
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey

_SAMPLES = 4
console = Console(highlight=False)


class TrainingPipeline:
    """Trains what a recipe names. Raises DataError for data or settings that cannot be used."""

    def __init__(
        self,
        recipe: Recipe,
        data: Path,
        out: Path,
        *,
        accelerator: Accelerator | None = None,
        instructions: Path | None = None,
    ) -> None:
        """`data` is a manifest or a pack; `instructions` a JSON-lines file of plain instructions."""
        self.recipe = recipe
        self.out = out
        self.accelerator = accelerator or default_accelerator()
        self._instructions = instructions
        # One process preprocesses and tokenises; the others read its cache.
        with self.accelerator.main_process_first():
            self.records, self.images = load_data(data, recipe.architecture.resolution, out)
        self.rows = rows_of(self.records, "train")
        if not len(self.rows):
            raise DataError(f"{data.name}: no rows of the training split")

    @property
    def device(self) -> torch.device:
        """Where models are trained."""
        return self.accelerator.device

    def classifier(self) -> Classifier:
        """The trained classifier."""
        folder = self.out / CLASSIFIER
        if (folder / "config.json").exists():
            return Classifier.load(folder, self.device)
        trainer = ClassifierTrainer(self.recipe.classifier, self.records, self.images, self.accelerator)
        return train_classifier(trainer, self.out)

    def _features(self) -> str:
        if self.recipe.features != OWN_CLASSIFIER:
            return self.recipe.features
        self.classifier()
        self.accelerator.wait_for_everyone()
        return f"classifier:{self.out / CLASSIFIER}"

    def vqgan(self) -> VQGAN:
        """The trained image tokenizer."""
        folder = self.out / IMAGE_TOKENIZER
        if (folder / "config.json").exists():
            return VQGAN.load(folder, self.device)
        recipe = self.recipe
        trainer = VQGANTrainer(
            recipe.architecture, recipe.vqgan, self.images, self.rows, self.accelerator, self._features()
        )
        return train_vqgan(trainer, self.out)

    def vocabulary(self, codebook_size: int) -> Vocabulary:
        """The text tokenizer, trained or extended once, with the codes behind it."""
        recipe, file = self.recipe.instruct, self.out / "tokenizer.json"
        with self.accelerator.main_process_first():
            if not file.exists():
                records = [self.records[row] for row in self.rows]
                tokenizer = (
                    extended_tokenizer(Path(recipe.base)) if recipe.base else train_tokenizer(records, recipe.text_size)
                )
                tokenizer.save(str(file))
        tokenizer = Tokenizer.from_file(str(file))
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        return Vocabulary.from_tokenizer(tokenizer, size, size, codebook_size)

    def language_model(self, vqgan: VQGAN) -> tuple[PreTrainedModel, Vocabulary]:
        """The trained language model and its vocabulary."""
        recipe = self.recipe.instruct
        vocabulary = self.vocabulary(vqgan.config.n_embed)
        with self.accelerator.main_process_first():
            codes = tokenise(vqgan, self.images, self.out, variants=recipe.variants, seed=recipe.seed)
        records = [self.records[row] for row in self.rows]
        known = np.asarray(codes[self.rows])
        instructions = read_instructions(self._instructions) if self._instructions else ()

        def mixture(phases: Sequence[Phase], drawn: KeptDrawings | None = None) -> Mixture:
            return Mixture(
                Prompts(vocabulary),
                records,
                known,
                phases,
                instructions=instructions,
                drawn=drawn,
                input_image_weight=recipe.input_image_weight,
                longest=recipe.context,
            )

        torch.manual_seed(recipe.seed)
        if recipe.base:
            codebook = vqgan.quantize.embedding.weight.detach().cpu().float()
            model: PreTrainedModel = load_base(Path(recipe.base), vocabulary, codebook, recipe.image_embeddings)
        else:
            model = build_model(vocabulary, recipe.width, recipe.layers, recipe.heads, recipe.context)

        def picture(current: PreTrainedModel) -> Image.Image:
            rng = Random(recipe.seed)
            wanted = [drawing_request(record, rng) for record in rng.sample(records, min(_SAMPLES, len(records)))]
            return self._contact_row(current, vocabulary, vqgan, wanted)

        def trainer(of: Mixture) -> InstructTrainer:
            return InstructTrainer(model, of, vocabulary.image_offset, recipe, self.accelerator, picture)

        drawn = None
        for selection in recipe.selections:
            before = [phase for phase in recipe.stages if phase.until <= selection.step]
            reader = train_instruct(trainer(mixture(before, drawn)), self.out, selection.step)
            with self.accelerator.main_process_first():
                drawn = select(
                    OwnDrawings(reader, vocabulary, vqgan, selection), records, recipe.seed, self.out, console
                )
        return train_instruct(trainer(mixture(recipe.stages, drawn)), self.out), vocabulary

    def _contact_row(
        self, model: PreTrainedModel, vocabulary: Vocabulary, vqgan: VQGAN, wanted: list[str]
    ) -> Image.Image:
        """A row of radiographs drawn for the requests."""
        prompts = Prompts(vocabulary)
        rows, columns = vqgan.config.grid
        openings = [prompts.draw(text) + prompts.image_opening() for text in wanted]
        codes = draw(model, vocabulary, openings, self.recipe.decoding.draw, rows * columns, self.recipe.instruct.seed)
        with torch.inference_mode():
            return grid(to_grey(vqgan.decode(torch.from_numpy(codes).to(self.device)).cpu()), len(wanted))
