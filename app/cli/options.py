"""Options that several commands share, and what they are turned into."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.console import fail
from app.settings import Settings, UnknownSettings, load_settings

BundleOption = Annotated[Path | None, typer.Option("--bundle", help="Folder of the model bundle.")]
StateOption = Annotated[Path | None, typer.Option("--state-dir", help="The only folder that is written to.")]
ServiceStateOption = Annotated[Path | None, typer.Option("--state-dir", help="The service's state folder.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file of settings.", exists=True)]
UrlOption = Annotated[str, typer.Option("--url", envvar="CXR_URL", help="Where the service listens.")]
KeyOption = Annotated[str | None, typer.Option("--key", envvar="CXR_API_KEY", help="API key.", show_envvar=True)]
SeedOption = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same output.")]
DEFAULT_URL = "http://127.0.0.1:8080"

DataArgument = Annotated[Path, typer.Argument(help="Manifest (.csv, .parquet) or pack (.tar).", exists=True)]
BundleArgument = Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)]
CacheOption = Annotated[Path, typer.Option("--cache", help="Keeps preprocessed images and codes.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="anneal, demo, distil, gpu, paper, tiny, or a TOML file.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the JSON files.")]
SplitOption = Annotated[str, typer.Option("--split", help="train, validation or test.")]
DEFAULT_CACHE = Path("cache")
DEFAULT_RESULTS = Path("results")


def settings_of(config: Path | None, **overrides: object) -> Settings:
    """The settings, or the end of the command with everything that is wrong with them."""
    try:
        return load_settings(config, **overrides)
    except ValidationError as error:
        lines = [
            f"  CXR_{'__'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        ]
    except UnknownSettings as error:
        lines = [f"  {line}" for line in error.lines]
    except SettingsError as error:
        # Which one, without its value, which may hold a password.
        found = re.search(r'field "(\w+)"', str(error))
        name = f"CXR_{found.group(1).upper()}" if found else "A setting"
        lines = [f"  {name}: the value is no JSON; quote it as a whole, such as '[\"a\"]'"]
    fail("The settings are not valid:\n" + "\n".join(lines))


@contextmanager
def training_errors() -> Iterator[None]:
    """Errors of data and of training as one line on standard error."""
    try:
        from models.bundle import BundleError
        from models.data.dataset import DataError
        from models.features import FeatureError
    except ImportError:
        fail("This needs the extra `train`: pip install '.[train]'.")
    try:
        yield
    except (DataError, FeatureError, BundleError, FloatingPointError) as error:
        fail(str(error), 1)
