"""Tokens of studies: set aside with the instance that opens a job, settled with its report, given back otherwise."""

from app.errors import RateLimited
from app.ingest.study_tokens import Settle, StudyTokens
from tests.support.ingest import Held
from tests.support.studies import instance, parsed


class Purse:
    """A sender's tokens."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens

    def reserve(self, tokens: int) -> Settle:
        if tokens > self.left:
            raise RateLimited("The tokens of the day are used.")
        self.left -= tokens
        return lambda used: setattr(self, "left", self.left + tokens - used)


def test_only_the_instance_that_opens_a_job_keeps_its_tokens(held: Held) -> None:
    purse = Purse(1_000)
    first = instance()
    job = held.accept(first, reserve=purse.reserve).opened
    assert purse.left == 900
    more = instance(StudyInstanceUID=parsed(first).StudyInstanceUID)
    for data in (first, more, b"no DICOM at all, whatever it says"):
        held.accept(data, reserve=purse.reserve)
        assert purse.left == 900
    assert job is not None
    held.tokens.settle(job, 40)
    assert purse.left == 960
    held.tokens.settle(job, 0)
    assert purse.left == 960


def test_past_the_quota_an_instance_is_refused_for_now_and_nothing_is_left_of_it(held: Held) -> None:
    purse = Purse(150)
    assert held.accept(instance(), reserve=purse.reserve).failure is None
    receipt = held.accept(instance(), reserve=purse.reserve)
    assert receipt.busy
    assert receipt.detail == "The tokens of the day are used."
    assert len(held.spool.names()) == 1


def test_a_report_that_is_over_before_its_study_is_known_is_settled_all_the_same() -> None:
    purse, tokens = Purse(100), StudyTokens(100)
    settle = tokens.set_aside(purse.reserve)
    assert settle is not None
    tokens.settle("job", 30)
    tokens.hold("job", settle)
    assert purse.left == 70


def test_an_earlier_run_on_its_way_out_does_not_settle_the_new_one() -> None:
    purse, tokens = Purse(100), StudyTokens(40)
    first = tokens.set_aside(purse.reserve)
    assert first is not None
    tokens.hold("job", first)
    second = tokens.set_aside(purse.reserve)
    assert second is not None
    tokens.begin("job", 2)
    tokens.hold("job", second)
    assert purse.left == 60
    tokens.settle("job", 0, 1)
    assert purse.left == 60
    tokens.settle("job", 30, 2)
    assert purse.left == 70
