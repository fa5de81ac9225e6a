"""Maps of evidence against the deletion test, and against the sides and lobes that captions name."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import track

from models.data.dataset import DataError, Record
from models.evaluation.deletion import area, compared, orders, removed
from models.evaluation.likelihood import likeliest_codes, log_likelihoods
from models.evaluation.plots import as_image, check_matplotlib, new_figure
from models.evaluation.subject import Subject
from models.evidence import GREY, Region, Replacement, commonest, regions, replaced, spread
from models.findings.yes_no import YesNo
from models.generate import write
from models.labels import mentioned_labels, stated_labels
from models.report_text import sentences

_QUESTION, _YES, _NO = "Is there pneumonia?", "Yes, there is pneumonia.", "No, there is no pneumonia."
_RANDOM_ORDERS = 3
# Of captions; the patient's right is on the image's left.
_PLACES = {"left": r"\bleft\b", "right": r"\bright\b", "upper": r"\bupper lobes?\b", "lower": r"\blower lobes?\b"}
_OPPOSITE = {"left": "right", "right": "left", "upper": "lower", "lower": "upper"}


class _Text:
    """A text behind one image: what stands before and behind the image's codes, and the ids that are scored."""

    def __init__(self, subject: Subject, prompt: list[int], context: str, text: str) -> None:
        vocabulary = subject.bundle.vocabulary
        self.first = next(place for place, token in enumerate(prompt) if token >= vocabulary.image_offset)
        before, whole = vocabulary.encode(context), vocabulary.encode(f"{context} {text}" if context else text)
        shared = sum(one == other for one, other in zip(before, whole, strict=False))
        self.head = prompt[: self.first]
        self.tail = [*prompt[self.first + subject.bundle.image_tokens :], *whole]
        self.count = len(whole) - shared
        self._subject = subject

    def likelihoods(self, images: Sequence[Sequence[int]]) -> np.ndarray:
        """The text's log-probability behind each image's codes."""
        ids = self._subject.bundle.vocabulary.image_ids
        return log_likelihoods(
            self._subject.llm, [[*self.head, *ids(codes), *self.tail] for codes in images], self.count
        )

    def stand_in(self, codes: Sequence[int], replacement: Replacement) -> list[int]:
        """What replaces the codes of an image, one for each."""
        if replacement == "commonest":
            return [commonest(codes)] * len(codes)
        if replacement == "grey":
            size = self._subject.bundle.manifest.image.size
            grey: list[int] = self._subject.encode(np.full((1, size, size), GREY, np.uint8))[0].tolist()
            return grey
        offset = self._subject.bundle.vocabulary.image_offset
        return likeliest_codes(self._subject.llm, self.head, codes, offset)


def statement_of(report: str) -> tuple[str, str] | None:
    """The first sentence of a report that names a finding, and what stands before it; None where none does."""
    for _, sentence in sentences(report):
        place = report.find(sentence)
        if (any(mentioned_labels(sentence)) or stated_labels(sentence)) and place >= 0:
            return report[:place].rstrip(), sentence
    return None


def places_of(record: Record) -> tuple[str, frozenset[str]] | None:
    """A sentence of a radiologist that names one side, or lobes of one height, and which; None where there is none."""
    for _, sentence in sentences(f"{record.findings} {record.impression}"):
        named = {place for place, word in _PLACES.items() if re.search(word, sentence.casefold())}
        told = frozenset(place for place in named if _OPPOSITE[place] not in named)
        if told:
            return sentence, told
    return None


def share_on(weights: np.ndarray, place: str) -> float | None:
    """The share of the weights above 0, float (rows, columns), that lies on a side or height; None without any."""
    weights = np.clip(weights, 0.0, None)
    rows, columns = weights.shape
    part = {
        "left": weights[:, columns // 2 :],
        "right": weights[:, : columns // 2],
        "upper": weights[: rows // 2],
        "lower": weights[rows // 2 :],
    }[place]
    return float(part.sum() / weights.sum()) if weights.sum() > 0.0 else None


class Deletion:
    """The deletion test over films, with one kind of text."""

    def __init__(self, subject: Subject, replacement: Replacement) -> None:
        self._subject, self._replacement = subject, replacement
        self._grid = subject.bundle.manifest.image.grid
        self._covered: tuple[Region, ...] = regions(self._grid)
        self.areas: dict[str, list[float]] = {"map": [], "centre": [], "random": []}
        self.curves: dict[str, list[np.ndarray]] = {"map": [], "centre": [], "random": []}

    def weights(self, text: _Text, codes: list[int], by: list[int]) -> list[float]:
        """The loss of each region."""
        whole, *without = text.likelihoods([codes, *(replaced(codes, region, by) for region in self._covered)])
        return [float(whole - one) for one in without]

    def map_of(self, text: _Text, codes: list[int]) -> np.ndarray:
        """The map of a text, float (rows, columns)."""
        losses = self.weights(text, codes, text.stand_in(codes, self._replacement))
        return np.array(spread(self._grid, self._covered, losses))

    def add(self, text: _Text, codes: list[int], seed: int) -> None:
        """Test the map of a text on one film."""
        by = text.stand_in(codes, self._replacement)
        ordered = orders(self._grid, self._covered, self.weights(text, codes, by), seed, _RANDOM_ORDERS)
        flat = [(name, order) for name, found in ordered.items() for order in found]
        images = [image for _, order in flat for image in removed(order, self._covered, codes, by)]
        scores = np.exp(text.likelihoods(images)).reshape(len(flat), -1)
        for name in self.areas:
            curve = scores[[place for place, (one, _) in enumerate(flat) if one == name]].mean(0)
            self.curves[name].append(curve)
            self.areas[name].append(area(curve))


def _question(subject: Subject, codes: list[int]) -> _Text:
    """The likelier of the two answers to the first finding's question."""
    declared = subject.bundle.manifest.findings
    question, yes, no = (declared[0].question, declared[0].yes, declared[0].no) if declared else (_QUESTION, _YES, _NO)
    prompts = subject.bundle.prompts
    prompt, answers = prompts.answer(codes, question), YesNo.from_answers(prompts, yes, no)
    ends = [[*prompt, *answers.shared, token] for token in answers.ids]
    likelier = int(np.argmax(log_likelihoods(subject.llm, ends, 1)))
    return _Text(subject, prompt, "", (yes, no)[likelier])


def evaluate_evidence(subject: Subject, films: int, replacement: Replacement) -> tuple[dict[str, Any], Image.Image]:
    """The deletion test on so many frontal films of the split, drawn at random, by kind of text, and its plot; the
    share of weight on the side that a caption names. Raises DataError where no film is frontal.
    """
    check_matplotlib()
    frontal = [int(row) for row in subject.rows if subject.record(int(row)).frontal]
    if not frontal:
        raise DataError(f"the split {subject.split} has no frontal film")
    chosen = np.random.default_rng(0).permutation(frontal)[:films].tolist()
    tests = {kind: Deletion(subject, replacement) for kind in ("statement", "question")}
    prompts, vocabulary = subject.bundle.prompts, subject.bundle.vocabulary
    reports = write(subject.llm, vocabulary, [prompts.report(subject.prompt_codes(row)) for row in chosen])
    for row, report in zip(track(chosen, description="Deleting", transient=True), reports, strict=True):
        codes = subject.prompt_codes(row)
        tests["question"].add(_question(subject, codes), codes, row)
        if (told := statement_of(report)) is not None:
            tests["statement"].add(_Text(subject, prompts.report(codes), *told), codes, row)
    measured = {kind: compared(test.areas) for kind, test in tests.items() if test.areas["map"]}
    found = {**subject.about(), "replacement": replacement, "films": len(chosen), "deletion": measured}
    return {**found, "places": _places(subject, frontal, tests["statement"])}, plot(tests)


def _places(subject: Subject, rows: Sequence[int], maps: Deletion) -> dict[str, Any]:
    """The share of weight where captions say that something is, chance being a half."""
    told = [(row, named) for row in rows if (named := places_of(subject.record(row))) is not None]
    shares = []
    for row, (sentence, places) in told:
        codes = subject.prompt_codes(row)
        weights = maps.map_of(_Text(subject, subject.bundle.prompts.report(codes), "", sentence), codes)
        shares += [share for place in sorted(places) if (share := share_on(weights, place)) is not None]
    if not shares:
        return {"films": 0, "share": None, "why": "no caption of the split names one side or the lobes of one height"}
    return {"films": len(told), "share": round(float(np.mean(shares)), 3)}


def plot(tests: dict[str, Deletion]) -> Image.Image:
    """The mean probability over the share of the image that is removed, by kind of text and order."""
    shown = {kind: test for kind, test in tests.items() if test.areas["map"]}
    figure = new_figure(4.6 * len(shown), 3.8)
    for axes, (kind, test) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        for name, curves in test.curves.items():
            mean = np.mean(curves, axis=0)
            axes.plot(np.linspace(0.0, 1.0, len(mean)), mean, label={"map": "most weight first"}.get(name, name))
        axes.set_title(f"{kind}, {len(test.areas['map'])} films")
        axes.set_xlabel("share of the image that is replaced")
        axes.set_ylabel("probability of the text")
        axes.legend()
    return as_image(figure)
