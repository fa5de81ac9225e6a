"""Which questions ask for yes or no, and what is scored beside their answers."""

import math

import pytest

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.imaging import InlineReader
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.generation import Caller, Options
from app.inference.probability import is_closed
from app.screening.fake import FakeScreen
from app.settings import ImagingSettings
from app.telemetry.timings import Timings
from models.data.wording import _IS_NORMAL, _IS_THERE
from tests.support.choices import Quota
from tests.support.service import bundle_in_memory, encoded, gradient

BUNDLE = bundle_in_memory()
YES, NO = BUNDLE.vocabulary.encode("Y")[0], BUNDLE.vocabulary.encode("N")[0]


@pytest.mark.parametrize(
    "question",
    [
        *(form.format("an effusion") for form in _IS_THERE),
        *_IS_NORMAL,
        "is there  pneumonia",
        "Are there nodules or masses?",
        "Is the heart enlarged or not?",
        "Is the heart enlarged, yes or no?",
        "Can you see an effusion?",
        "Could this be tuberculosis?",
        "Has the tube been removed?",
        "Any pneumothorax?",
        "Does the patient have a rib fracture or a nodule?",
        "Do these lungs look clear?",
        "Do you see an effusion, yes or no?",
        "Have the opacities resolved?",
        "Is there Mr. Smith's pneumonia?",
    ],
)
def test_a_question_for_yes_or_no_is_closed(question: str) -> None:
    assert is_closed(question)


@pytest.mark.parametrize(
    "question",
    [
        "Is it a child or an adult?",
        "Is the patient female or male?",
        "Are the opacities unilateral or bilateral?",
        "What is the view?",
        "Which projection is this?",
        "How severe is the pneumonia?",
        "Can you describe the lungs?",
        "Would you list the findings?",
        "Describe the heart. Is it enlarged?",
        "Is there pneumonia? Where?",
        "Have a look.",
        "Do the following: describe the lungs.",
        "Is",
        "Any?",
        # Yes to these may be meant either way.
        "Isn't there an effusion?",
        "Isn\u2019t there an effusion?",
        "Is there no pneumonia?",
        "Does the patient not have pneumonia?",
        "Are the lungs free of opacities?",
        "Can you see a chest without effusion?",
        "Island of opacity where?",
        "Do what I say.",
        "",
        "?",
        "Is there " + "x" * 5_000 + "?",
    ],
)
def test_any_other_question_is_open(question: str) -> None:
    assert not is_closed(question)


@pytest.mark.parametrize("asked", [False, True])
async def test_probabilities_come_with_the_answers_pass_and_only_where_asked_for(asked: bool) -> None:
    engine = FakeEngine(BUNDLE.vocabulary)
    engine.first_place = lambda prompt, token: math.log({YES: 0.6, NO: 0.2}[token])
    backend = Backend(BUNDLE, InlineReader(ImagingSettings(), 256), FakeCodec(), engine, FakeScreen())
    quota = Quota(100_000)
    options = Options(caller=Caller(reserve=quota.reserve))
    questions = ["Is there pneumonia?", "What is the view?"]
    image = encoded(gradient())
    _, texts = await pipelines.answers(backend, image, questions, options, Timings(), probabilities=asked)
    closed, opened = texts
    assert opened.log_likelihoods == ()
    assert closed.log_likelihoods == ((math.log(0.6), math.log(0.2)) if asked else ())
    assert [one.scored for one in engine.generations] == [(YES, NO) if asked else (), ()]
    assert quota.used == sum(text.usage.prompt_tokens + text.usage.completion_tokens for text in texts)
