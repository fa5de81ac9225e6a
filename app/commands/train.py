"""`cxr train`: the demo bundle's recipe from a folder of radiographs to a finished bundle."""

from pathlib import Path

import torch
from rich.console import Console

from models.evaluation.card import model_card
from models.evaluation.measure import measure
from models.training.demo import DemoRecipe
from models.training.export import export_bundle
from models.training.instruct import InstructRecipe
from models.training.vqgan import VQGANRecipe

NAME = "llm-cxr-demo"
LICENCE = "CC-BY-4.0"
HISTORY_FILE = "HISTORY.md"
INTENDED_USE = "Demonstration and integration tests of the LLM-CXR server. Not for clinical use."


def _history(out: Path) -> str:
    """Read the log of runs that whoever trains keeps beside the checkpoints."""
    file = out / HISTORY_FILE
    return file.read_text(encoding="utf-8").strip() if file.exists() else "One run, by the command above."


def train_bundle(
    data: Path, out: Path, bundle: Path, vqgan_steps: int, instruct_steps: int, console: Console, version: str = "0.1"
) -> None:
    """Train both models (or go on from `out`), measure them on the test split, and write the bundle with its card.

    Raises DataError, FloatingPointError.
    """
    out.mkdir(parents=True, exist_ok=True)
    recipe = DemoRecipe(data, out, VQGANRecipe(steps=vqgan_steps), InstructRecipe(steps=instruct_steps))
    vqgan = recipe.vqgan()
    codes = recipe.codes(vqgan)
    vocabulary = recipe.vocabulary()
    llm = recipe.language_model(vocabulary, codes)
    console.print("Measuring on the test split")
    with torch.inference_mode():
        figures = measure(recipe, vqgan, llm, vocabulary, codes)
    console.print(figures)
    manifest = export_bundle(
        bundle,
        name=NAME,
        version=version,
        licence=LICENCE,
        intended_use=INTENDED_USE,
        vqgan=vqgan,
        llm=llm,
        vocabulary=vocabulary,
        decoding=recipe.decoding,
        card=model_card(
            figures,
            recipe.studies,
            vqgan_parameters=sum(p.numel() for p in vqgan.parameters()),
            llm_parameters=sum(p.numel() for p in llm.parameters()),
            vqgan_steps=vqgan_steps,
            instruct_steps=instruct_steps,
            history=_history(out),
        ),
    )
    console.print(f"Wrote {manifest.label} to {bundle}")
