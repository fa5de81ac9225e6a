"""MODEL_CARD.md, generated from the evaluation's JSON, the recipe, and the licences in the manifest."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.data.dataset import DataError, Record
from models.evaluation.screen_card import screen_part
from models.evaluation.subject import Subject
from models.training.recipe import Recipe

PARTS = ("images", "reports", "vqa", "drawings")
FINDINGS, SCREEN, EVIDENCE = "findings", "screen", "evidence"
_ABOUT = {"kind": "bacterial or viral", "presence": "pneumonia or normal"}
HISTORY_FILE = "HISTORY.md"

_TEMPLATE = """# Model card: {label}

**Not a medical device. Not for clinical use.** {intended_use}

## What it is
- Image tokenizer: a VQ-GAN in taming-transformers' layout, {size} px, {rows} x {columns} tokens of {codes} codes,
  {vqgan_parameters} million parameters.
- Language model: {architecture}, {llm_parameters} million parameters, {origin}, on reports, drawings and questions
  {texts}.

## Measured on the {split} split ({images} radiographs; groups are in one split only)
| figure | value | 95 % interval | rows |
|---|---|---|---|
{figures}

Reports and answers are greedy; a report that states no condition, or an answer to something else, counts as wrong.
Drawings are sampled as the server samples them.

{notes}

{screen}## Reproduce
```
{commands}
```
A stopped run goes on from OUT.

## Runs
{history}

## Training data, licences, attribution
{sources}

The labels are coarse and come from few hospitals: the model learns a hospital's images as much as the disease. Sex,
race and comorbidity are not known for most images, so bias was not measured.

## Examples of generated reports ({split} split, greedy)
{examples}
"""


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """The evaluation's JSON files by part; those of findings, screen and evidence only where there are such.

    Raises DataError naming the first that is missing or not JSON.
    """
    found = {}
    for part in (*PARTS, *(part for part in (FINDINGS, SCREEN, EVIDENCE) if (folder / f"{part}.json").exists())):
        file = folder / f"{part}.json"
        try:
            found[part] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{file.name} is not in {folder}; run `cxr evaluate {part}` first") from error
        except json.JSONDecodeError as error:
            raise DataError(f"{file.name} is not JSON: {error}") from error
    return found


def _row(name: str, value: object, interval: Sequence[float] | None = None, rows: object = "") -> str:
    between = f"{interval[0]} to {interval[1]}" if interval else ""
    return f"| {name} | {value} | {between} | {rows} |"


def _scored(name: str, figure: dict[str, Any] | None) -> list[str]:
    return [_row(name, figure["value"], figure["interval"], figure["count"])] if figure else []


def _figures(results: dict[str, dict[str, Any]]) -> str:
    images, reports, vqa, drawings = (results[part] for part in PARTS)
    judge = drawings["judge_on_real_images"]["balanced_accuracy"]
    rows = [
        _row("reconstruction PSNR", f"{images['psnr_db']} dB", rows=images["images"]),
        _row("reconstruction SSIM", images["ssim"], rows=images["images"]),
        _row("codes used", f"{100 * images['codebook_use']:.1f} %", rows=images["images"]),
        *_scored(
            "report: normal or pneumonia, balanced accuracy", reports.get("normal_or_pneumonia_balanced_accuracy")
        ),
        *_scored("report: normal, bacterial or viral, macro F1", reports.get("three_kinds_macro_f1")),
        *_scored("report: normal, bacterial or viral, balanced accuracy", reports.get("three_kinds_balanced_accuracy")),
        *_scored("yes/no questions, as many yes as no: accuracy", vqa["yes_no"]),
        *(
            line
            for kind, figure in vqa["by_kind"].items()
            for line in _scored(f"questions about: {_ABOUT.get(kind, kind)}", figure)
        ),
        *_findings(results.get(FINDINGS)),
        *_evidence(results.get(EVIDENCE)),
        *_scored("drawings: show what was asked, by the judge", drawings["label_agreement"]),
        *_scored("the judge itself on real images, balanced accuracy", judge),
        *_scored(
            "the judge on reconstructed real images, balanced accuracy",
            drawings["judge_on_reconstructed_images"]["balanced_accuracy"],
        ),
    ]
    for what, found in (("reconstructions", images["distances"]), ("drawings", drawings["distances"])):
        for item in found:
            rows.append(_row(f"{what}: FID / KID on features `{item['features']}`", f"{item['fid']} / {item['kid']}"))
            if "recall" in item:
                share = f"{item['precision']} / {item['recall']}"
                rows.append(
                    _row(f"{what}: precision / recall on features `{item['features']}`", share, rows=item["images"])
                )
    return "\n".join(rows)


def _findings(results: dict[str, Any] | None) -> list[str]:
    rows = []
    for name, found in results["findings"].items() if results else ():
        said = "calibrated" if found["calibrated"] else "uncalibrated"
        rows += _scored(f"probability of {name}: AUROC", found["auroc"])
        rows += _scored(f"probability of {name}, bacterial against viral: AUROC", found.get("auroc_bacterial_or_viral"))
        rows += _scored(f"probability of {name}, {said}: expected calibration error", found["ece"])
        for point in ("youden", "sensitivity_95", "specificity_95"):
            if point in found:
                for what in ("sensitivity", "specificity"):
                    rows += _scored(f"probability of {name}, {what} at {point}", found[point][what])
    return rows


def _evidence(results: dict[str, Any] | None) -> list[str]:
    rows = []
    for kind, found in results["deletion"].items() if results else ():
        for other in ("random", "centre"):
            name = f"evidence for a {kind}: area under the deletion curve, {other} order less that of the map"
            rows += _scored(name, found[f"{other}_minus_map"])
    return rows


def _notes(drawings: dict[str, Any]) -> str:
    near = drawings["nearest_training_image"]
    made, real = drawings["ms_ssim_within_request"], drawings["ms_ssim_of_real_images"]
    variety = "; ".join(f"{label} {value} (real {real.get(label, 'unknown')})" for label, value in made.items())
    own = drawings["judge_on_real_images"]["by_label"]
    agreement = "; ".join(
        f"{label} {value} (real films {own.get(label, 'unknown')})"
        for label, value in drawings["agreement_by_request"].items()
    )
    alike = "; ".join(
        f"{label} {one['structure']} and {one['spread']}" for label, one in drawings["likeness_to_real_images"].items()
    )
    return f"""Agreement by request, by the judge: {agreement}.

Structure (mean difference of neighbours at 64 px) and spread of a request's drawings, over those of real films:
{alike}.

Variety, mean MS-SSIM between two images of a request (lower is more varied): {variety}.

Copies: {near["unit"]} to the nearest training image, least and median: drawn {near["drawn"]["least"]} and
{near["drawn"]["median"]}; held-out real images {near["held_out"]["least"]} and {near["held_out"]["median"]};
the same, reconstructed from their codes, {near["held_out_reconstructed"]["least"]} and
{near["held_out_reconstructed"]["median"]}.{_resemblance(drawings)}"""


def _resemblance(drawings: dict[str, Any]) -> str:
    found = drawings.get("resemblance_to_training_images")
    if found is None:
        return ""
    above = found["above_limit"]
    return f"""

By the index of {found["films"]} training films, {100 * above["drawn"]:.1f} % of the drawings and
{100 * above["held_out"]:.1f} % of held-out films are above its limit of {found["limit"]:.3f}."""


def _sources(records: Sequence[Record]) -> str:
    counts = Counter((r.attribution, r.licence) for r in records if r.split == "train")
    return "\n".join(
        f"- {count} images: {who or 'not stated'}. Licence: {licence or 'not stated'}."
        for (who, licence), count in counts.most_common()
    )


def _commands(recipe: Recipe, recipe_name: str) -> str:
    judge = "judge" if recipe.judge else "classifier"
    judged = [f"cxr evaluate {part} BUNDLE MANIFEST --results RESULTS" for part in ("images", "reports", "vqa")]
    return "\n".join(
        [
            f"cxr train all MANIFEST OUT --recipe {recipe_name} --bundle BUNDLE",
            *judged,
            f"cxr evaluate drawings BUNDLE MANIFEST --judge OUT/{judge} --results RESULTS",
            f"cxr evaluate card BUNDLE MANIFEST --results RESULTS --recipe {recipe_name} --history OUT/{HISTORY_FILE}",
        ]
    )


def model_card(
    subject: Subject, results: dict[str, dict[str, Any]], recipe: Recipe, recipe_name: str, history: str
) -> str:
    """MODEL_CARD.md as text. Raises DataError where a result is of another bundle's weights or another split."""
    about = subject.about()
    for part, found in results.items():
        for key in ("bundle", "weights_sha256", "split"):
            if found[key] != about[key]:
                raise DataError(f"{part}.json is of {key} {found[key]}, not {about[key]}; evaluate again")
    manifest, config = subject.bundle.manifest, subject.llm.config
    rows, columns = manifest.image.grid
    written = any(r.findings or r.impression for r in subject.records)
    examples = "\n".join(
        f"- labelled {item['label']}: {' / '.join(item['report'].split(chr(10)))}"
        for item in results["reports"]["examples"]
    )
    return _TEMPLATE.format(
        label=manifest.label,
        intended_use=manifest.intended_use,
        size=manifest.image.size,
        rows=rows,
        columns=columns,
        codes=f"{manifest.vocabulary.codebook_size:,}",
        vqgan_parameters=round(sum(p.numel() for p in subject.vqgan.parameters()) / 1e6, 1),
        architecture=(config.architectures or [config.model_type])[0],
        llm_parameters=round(sum(p.numel() for p in subject.llm.parameters()) / 1e6, 1),
        origin=f"tuned from {recipe.instruct.base}" if recipe.instruct.base else "trained from scratch",
        texts="of radiologists" if written else "composed from labels; no radiologist wrote them",
        split=about["split"],
        images=about["images"],
        figures=_figures(results),
        notes=_notes(results["drawings"]),
        screen=screen_part(subject.bundle, results.get(SCREEN)),
        commands=_commands(recipe, recipe_name),
        history=history,
        sources=_sources(subject.records),
        examples=examples,
    )
