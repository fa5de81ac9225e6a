"""The field's scores of report texts, each from its own package and local weights. None is a dependency of ours."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.data.dataset import DataError


def _radgraph(weights: Path, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """RadGraph F1 (Jain et al. 2021; Delbrouck et al. 2024): entities and relations, mean over reports."""
    from radgraph import F1RadGraph

    scorer = F1RadGraph(reward_level="all", model_type="radgraph-xl", model_cache_dir=str(weights))
    mean, *_ = scorer(hyps=list(texts), refs=list(references))
    return dict(zip(("simple", "partial", "complete"), (round(float(value), 4) for value in mean), strict=True))


def _chexbert(weights: Path, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """F1 of CheXbert's labels (Smit et al. 2020), over all 14 and over the usual five."""
    from f1chexbert import F1CheXbert

    scorer = F1CheXbert(cache_dir=str(weights))
    _, _, all_labels, five = scorer(hyps=list(texts), refs=list(references))
    return {
        f"{name}_{mean}": round(table[f"{mean} avg"]["f1-score"], 4)
        for name, table in (("fourteen", all_labels), ("five", five))
        for mean in ("micro", "macro")
    }


def _radeval(weights: Path, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """RadEval's BLEU, ROUGE and BERTScore; `weights` is the folder its models are cached in."""
    import os

    os.environ.setdefault("HF_HOME", str(weights))
    from RadEval import RadEval

    scorer = RadEval(do_bleu=True, do_rouge=True, do_bertscore=True)
    return dict(scorer(refs=list(references), hyps=list(texts)))


ADAPTERS: dict[str, Callable[[Path, Sequence[str], Sequence[str]], dict[str, Any]]] = {
    "radgraph": _radgraph,
    "f1chexbert": _chexbert,
    "radeval": _radeval,
}


def score_texts(name: str, weights: Path, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """The scores of `name` for generated texts against a radiologist's.

    Raises DataError where the package, the weights or the references are missing.
    """
    if name not in ADAPTERS:
        raise DataError(f"there is no score {name!r}; there are {', '.join(ADAPTERS)}")
    if not weights.exists():
        raise DataError(f"{name}: there are no weights at {weights}")
    if not references:
        raise DataError(f"{name} needs radiographs with a radiologist's text, and the split has none")
    try:
        return {"score": name, "count": len(references), **ADAPTERS[name](weights, texts, references)}
    except ImportError as error:
        raise DataError(f"{name}: install its package first ({error.name})") from error
