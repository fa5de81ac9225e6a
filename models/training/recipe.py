"""A recipe: everything that decides a trained bundle besides the data, as a TOML file."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.bundle import DecodingDefaults
from models.data.dataset import DataError
from models.training.classifier import ClassifierRecipe
from models.training.instruct import InstructRecipe
from models.training.screen import ScreenRecipe
from models.training.vqgan import VQGANRecipe
from models.vqgan import VQGANConfig

FOLDER = Path(__file__).parent / "recipes"
# `features` of a recipe that trains its own classifier.
OWN_CLASSIFIER = "own"


class Shares(BaseModel):
    """The share of the time still left that each phase gets under a time limit; what remains is the last phase's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: float = 0.04
    classifier: float = 0.04
    vqgan: float = 0.42
    # Each selection and the phases behind it, together.
    selection: float = 0.1


class Recipe(BaseModel):
    """What to train, and what the bundle is called. `features` is for the information-preserving loss.

    `judge` is a classifier that no training uses; without one, only those are trained that training needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    licence: str
    intended_use: str
    features: str = OWN_CLASSIFIER
    architecture: VQGANConfig
    shares: Shares = Shares()
    judge: ClassifierRecipe | None = None
    classifier: ClassifierRecipe = ClassifierRecipe()
    screen: ScreenRecipe = ScreenRecipe()
    vqgan: VQGANRecipe = VQGANRecipe()
    instruct: InstructRecipe = InstructRecipe()
    decoding: DecodingDefaults = DecodingDefaults()


def names() -> list[str]:
    """Recipes that come with the project."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of that name, or of that TOML file. Raises DataError saying what is wrong with it."""
    file = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        return Recipe.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DataError(f"there is no recipe {name}; there are {', '.join(names())}, or name a .toml file") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{file.name}: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise DataError(f"{file.name} is not a recipe:\n" + "\n".join(lines)) from error
