"""The evaluations of how sure a model is: of its findings, of a report's sentences, of the map of a statement."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import (
    DEFAULT_CACHE,
    DEFAULT_RESULTS,
    BundleArgument,
    CacheOption,
    DataArgument,
    DeviceOption,
    ResultsOption,
    SplitOption,
)
from app.cli.results import evaluate_part
from models.evidence import REPLACEMENT, Replacement

if TYPE_CHECKING:
    from models.evaluation.subject import Subject


def findings(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
) -> None:
    """Findings: AUROC, AUPRC, sensitivity and specificity, Brier score, calibration error; a reliability plot."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.finding_figures import evaluate_findings

        figures, curves = evaluate_findings(subject)
        curves.save(results / "reliability.png")
        return figures

    evaluate_part("findings", bundle, data, results, split, cache, device, measure)


def doubt(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    films: Annotated[int, typer.Option("--films", help="How many.", min=2)] = 100,
    samples: Annotated[int, typer.Option("--samples", help="Of each report.", min=2, max=16)] = 8,
) -> None:
    """Doubt: do samples of a report support its right statements more than its wrong ones?"""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.doubt import evaluate_doubt

        return evaluate_doubt(subject, films, samples)

    evaluate_part("doubt", bundle, data, results, split, cache, device, measure)


def evidence(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    films: Annotated[int, typer.Option("--films", help="How many.", min=1)] = 100,
    replacement: Annotated[Replacement, typer.Option(help="What regions are replaced by.")] = REPLACEMENT,
) -> None:
    """Evidence: do the regions with most weight, removed first, lower the probability fastest? A plot."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.evidence import evaluate_evidence

        figures, curves = evaluate_evidence(subject, films, replacement)
        curves.save(results / "deletion.png")
        return figures

    evaluate_part("evidence", bundle, data, results, split, cache, device, measure)
