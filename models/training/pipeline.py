"""The phases of a recipe over one data set and one output folder.

Every phase writes its result below `out` and is skipped where the result exists, so a stopped run resumes.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from rich.console import Console
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from models.bundle import LLM_FOLDER, VQGAN_FOLDER
from models.classifier import Classifier
from models.data.codes import tokenise
from models.data.dataset import DataError, rows_of
from models.data.images import grid, load_data
from models.data.wording import drawing_request
from models.generate import draw
from models.prompts import Prompts
from models.training.budget import Budget
from models.training.classifier import JUDGE, ClassifierRecipe, ClassifierTrainer, train_classifier
from models.training.classifier import NAME as CLASSIFIER
from models.training.fitting import fitted
from models.training.instruct import NAME as LANGUAGE_MODEL
from models.training.instruct import InstructRecipe, InstructTrainer, train_instruct
from models.training.language_model import build_model, load_base, load_trained
from models.training.loop import accelerator as default_accelerator
from models.training.mixture import KeptDrawings, Mixture, Phase, read_instructions
from models.training.recipe import OWN_CLASSIFIER, Recipe
from models.training.rejection_sampling import OwnDrawings, select
from models.training.tokenizer import extended_tokenizer, train_tokenizer
from models.training.vqgan import NAME as IMAGE_TOKENIZER
from models.training.vqgan import VQGANRecipe, VQGANTrainer, train_vqgan
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey

_SAMPLES = 4
# Batches of texts are composed beside a GPU; on a CPU the cores are the trainer's.
_MOST_WORKERS = 12
console = Console(highlight=False)

Finished = Callable[[PreTrainedModel, Vocabulary, str], None]


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
        start: Path | None = None,
        budget: Budget | None = None,
    ) -> None:
        """`data` is a manifest or a pack; `instructions` a JSON-lines file of plain instructions; `start` a bundle to
        begin from: its image tokenizer, and its language model where the recipe goes on; `budget` the time limit that
        every phase is fitted to.
        """
        self.recipe = recipe
        self.out = out
        self.budget = budget or Budget()
        self.accelerator = accelerator or default_accelerator()
        self._instructions = instructions
        self._start = start
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

    @property
    def workers(self) -> int:
        """Processes that make batches beside the trainer."""
        return min(_MOST_WORKERS, max(0, (os.cpu_count() or 1) - 2)) if self.device.type == "cuda" else 0

    def _classifier(self, name: str, recipe: ClassifierRecipe, share: float) -> Classifier:
        folder = self.out / name
        if (folder / "config.json").exists():
            return Classifier.load(folder, self.device)

        def trainer(of: ClassifierRecipe) -> ClassifierTrainer:
            return ClassifierTrainer(of, self.records, self.images, self.accelerator)

        until = self.budget.until(share)
        if self.budget.limited:
            recipe = fitted(recipe, name, trainer, until, self.out, console)
        return train_classifier(trainer(recipe), self.out, name, until)

    def classifier(self) -> Classifier:
        """The trained classifier."""
        return self._classifier(CLASSIFIER, self.recipe.classifier, self.recipe.shares.classifier)

    def judge(self) -> Classifier | None:
        """The trained judge, None where the recipe has none."""
        recipe = self.recipe
        return self._classifier(JUDGE, recipe.judge, recipe.shares.judge) if recipe.judge else None

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
        recipe, features = self.recipe, self._features()
        start = VQGAN.load(self._start / VQGAN_FOLDER, self.device) if self._start else None
        if start is not None and start.config != recipe.architecture:
            raise DataError(f"{self._start}: its architecture is not the recipe's")

        def trainer(of: VQGANRecipe) -> VQGANTrainer:
            return VQGANTrainer(recipe.architecture, of, self.images, self.rows, self.accelerator, features, start)

        until, schedule = self.budget.until(recipe.shares.vqgan), recipe.vqgan
        if self.budget.limited:
            schedule = fitted(schedule, IMAGE_TOKENIZER, trainer, until, self.out, console)
        return train_vqgan(trainer(schedule), self.out, until)

    @property
    def _trained(self) -> Path:
        """Folder of the language model to go on with."""
        if self._start is None:
            raise DataError("the recipe goes on from a bundle's language model: name a bundle to start from")
        return self._start / LLM_FOLDER

    def vocabulary(self, codebook_size: int) -> Vocabulary:
        """The text tokenizer, trained or extended once, with the codes behind it."""
        recipe, file = self.recipe.instruct, self.out / "tokenizer.json"
        with self.accelerator.main_process_first():
            if recipe.goes_on and not file.exists():
                shutil.copyfile(self._trained / "tokenizer.json", file)
            if not file.exists():
                records = [self.records[row] for row in self.rows]
                tokenizer = (
                    extended_tokenizer(Path(recipe.base)) if recipe.base else train_tokenizer(records, recipe.text_size)
                )
                tokenizer.save(str(file))
        tokenizer = Tokenizer.from_file(str(file))
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        return Vocabulary.from_tokenizer(tokenizer, size, size, codebook_size)

    def _model(self, vqgan: VQGAN, vocabulary: Vocabulary) -> PreTrainedModel:
        recipe = self.recipe.instruct
        torch.manual_seed(recipe.seed)
        if recipe.base:
            codebook = vqgan.quantize.embedding.weight.detach().cpu().float()
            return load_base(Path(recipe.base), vocabulary, codebook, recipe.image_embeddings)
        if recipe.goes_on:
            return load_trained(self._trained, vocabulary, recipe.dropout)
        return build_model(vocabulary, recipe.width, recipe.layers, recipe.heads, recipe.context, recipe.dropout)

    def language_model(self, vqgan: VQGAN, finished: Finished | None = None) -> tuple[PreTrainedModel, Vocabulary]:
        """The trained language model and its vocabulary.

        `finished` also gets the model as it is before every selection, with a name for that state.
        """
        recipe, shares, console_ = self.recipe.instruct, self.recipe.shares, console
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
                dropped_conditions=recipe.dropped_conditions,
                longest=recipe.context,
            )

        def picture(current: PreTrainedModel) -> Image.Image:
            rng = Random(recipe.seed)
            wanted = [drawing_request(record, rng) for record in rng.sample(records, min(_SAMPLES, len(records)))]
            return self._contact_row(current, vocabulary, vqgan, wanted)

        def trainer(of: Mixture, schedule: InstructRecipe, model: PreTrainedModel) -> InstructTrainer:
            offset = vocabulary.image_offset
            return InstructTrainer(model, of, offset, schedule, self.accelerator, picture, self.workers)

        def throwaway(schedule: InstructRecipe) -> InstructTrainer:
            phases = [phase.model_copy(update={"own_drawings": 0.0}) for phase in schedule.stages]
            return trainer(mixture(phases), schedule, self._model(vqgan, vocabulary))

        if self.budget.limited:
            until = self.budget.until(1.0 - shares.selection * len(recipe.selections))
            recipe = fitted(recipe, LANGUAGE_MODEL, throwaway, until, self.out, console_)
        model, drawn = self._model(vqgan, vocabulary), None
        for selection in recipe.selections:
            before = [phase for phase in recipe.stages if phase.until <= selection.step]
            until = self.budget.until(1.0 - shares.selection * len(recipe.selections))
            reader = train_instruct(trainer(mixture(before, drawn), recipe, model), self.out, selection.step, until)
            if finished:
                finished(reader, vocabulary, f"step-{selection.step}")
            own = OwnDrawings(
                reader,
                vocabulary,
                vqgan,
                selection,
                empty_requests=recipe.dropped_conditions > 0,
                classifier=self.classifier() if selection.classifier else None,
                until=self.budget.within(0.8 * shares.selection),
            )
            with self.accelerator.main_process_first():
                drawn = select(own, records, known[:, 0], recipe.seed, self.out, console)
        last = trainer(mixture(recipe.stages, drawn), recipe, model)
        return train_instruct(last, self.out, until=self.budget.until(0.9)), vocabulary

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
