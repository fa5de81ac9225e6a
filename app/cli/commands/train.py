"""`cxr train`, `cxr evaluate`, `cxr manifest`: the training package from the command line."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from models.bundle.export import export_bundle
from models.bundle.writer import replace_card
from models.data.dataset import DataError, Record, write_dataset
from models.data.images import load_data, pack
from models.data.sources.mimic import read_mimic
from models.data.sources.open_cxr import read_open_cxr
from models.evaluation.answers import evaluate_vqa
from models.evaluation.card import PARTS, model_card, read_results
from models.evaluation.drawings import evaluate_drawings
from models.evaluation.reconstruction import evaluate_images
from models.evaluation.reports import evaluate_reports
from models.evaluation.subject import Subject
from models.training.pipeline import TrainingPipeline
from models.training.recipe import load_recipe

STAGES = ("classifier", "vqgan", "instruct", "all")
_MIB = 2**20


def train(
    stage: str,
    data: Path,
    out: Path,
    recipe_name: str,
    bundle: Path | None,
    instructions: Path | None,
    features: str | None,
    base: str | None,
    console: Console,
) -> None:
    """Train one stage and what it needs, or all of them and write the bundle. Raises DataError, FloatingPointError."""
    recipe = load_recipe(recipe_name)
    if features:
        recipe = recipe.model_copy(update={"features": features})
    if base:
        recipe = recipe.model_copy(update={"instruct": recipe.instruct.model_copy(update={"base": base})})
    out.mkdir(parents=True, exist_ok=True)
    pipeline = TrainingPipeline(recipe, data, out, instructions=instructions)
    if stage == "classifier":
        pipeline.classifier()
        return
    vqgan = pipeline.vqgan()
    if stage == "vqgan":
        return
    llm, vocabulary = pipeline.language_model(vqgan)
    if bundle and pipeline.accelerator.is_main_process:
        manifest = export_bundle(
            bundle,
            name=recipe.name,
            version=recipe.version,
            licence=recipe.licence,
            intended_use=recipe.intended_use,
            vqgan=vqgan,
            llm=llm,
            vocabulary=vocabulary,
            decoding=recipe.decoding,
        )
        console.print(f"Wrote {manifest.label} to {bundle}; measure it with `cxr evaluate`")


def evaluate(
    part: str,
    subject: Subject,
    results: Path,
    console: Console,
    *,
    features: list[str],
    judge: Path | None,
    each: int,
    scores: list[tuple[str, Path]],
) -> None:
    """Measure one part and write `results/PART.json`, with a contact sheet beside it for drawings."""
    results.mkdir(parents=True, exist_ok=True)
    if part == "drawings":
        if judge is None:
            raise DataError("drawings need --judge, a folder that `cxr train classifier` wrote")
        figures, sheets = evaluate_drawings(subject, judge, each, features)
        for name, sheet in sheets.items():
            sheet.save(results / f"{name}.png")
    else:
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "images": lambda: evaluate_images(subject, features),
            "reports": lambda: evaluate_reports(subject, scores),
            "vqa": lambda: evaluate_vqa(subject),
        }
        figures = measures[part]()
    text = json.dumps(figures, indent=2)
    (results / f"{part}.json").write_text(text + "\n", encoding="utf-8")
    console.print_json(text)


def card(subject: Subject, results: Path, recipe_name: str, history: Path | None, console: Console) -> None:
    """Write the bundle's MODEL_CARD.md from the results."""
    log = history.read_text(encoding="utf-8").strip() if history else "One run, by the commands above."
    recipe = load_recipe(recipe_name)
    replace_card(subject.bundle.path, model_card(subject, read_results(results), recipe, recipe_name, log))
    console.print(f"Wrote the model card of {subject.bundle.manifest.label} from {', '.join(PARTS)}")


def _relative(records: list[Record], folder: Path, manifest: Path) -> list[Record]:
    """Records with their images' paths from the manifest's folder."""
    target = manifest.parent.resolve()
    return [replace(r, image=Path(os.path.relpath(folder.resolve() / r.image, target)).as_posix()) for r in records]


def make_manifest(kind: str, folder: Path, reports: Path | None, manifest: Path, console: Console) -> None:
    """Write the manifest of a data set. Raises DataError."""
    if kind == "mimic":
        if reports is None:
            raise DataError("MIMIC-CXR-JPG has no reports; name the folder of MIMIC-CXR's with --reports")
        records = read_mimic(folder, reports)
    else:
        records = read_open_cxr(folder)
    write_dataset(_relative(records, folder, manifest), manifest)
    console.print(f"{manifest}: {len(records)} radiographs")


def make_pack(data: Path, file: Path, size: int, mebibytes: float, cache: Path, console: Console) -> None:
    """Write manifest and preprocessed images as one file. Raises DataError."""
    records, images = load_data(data, size, cache)
    quality = pack(records, images, file, int(mebibytes * _MIB))
    console.print(f"{file}: {file.stat().st_size / _MIB:.1f} MiB, {len(records)} radiographs, WebP quality {quality}")
