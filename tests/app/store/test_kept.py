"""Answers that are kept: one maker a name, sealed, for a while, up to a size. On SQLite and on PostgreSQL."""

import asyncio

import pytest
import sqlalchemy as sa

from app.errors import OutOfSpace
from app.store.database import Database
from app.store.kept import CLAIM_SECONDS, Claim, KeptAnswers, remove_expired
from app.store.tables import kept

SECRET = b"s" * 32
MEGABYTE = 1_000_000


@pytest.fixture
def answers(database: Database) -> KeptAnswers:
    return KeptAnswers(database, SECRET, MEGABYTE)


def _pass_time(database: Database, seconds: float) -> None:
    with database.transaction() as connection:
        connection.execute(sa.update(kept).values(expires=kept.c.expires - seconds))


async def _claim(answers: KeptAnswers, digest: str = "d", holder: str = "h", owner: str = "o") -> Claim | bytes:
    return await answers.claim("n", digest, owner, holder)


async def test_of_many_at_once_one_makes_the_answer_and_all_get_it(answers: KeptAnswers) -> None:
    claims = await asyncio.gather(*(_claim(answers, holder=f"h{number}") for number in range(8)))
    assert sorted(claim.name for claim in claims if isinstance(claim, Claim)) == ["OURS", *["UNDER_WAY"] * 7]
    await answers.keep("n", "o", b"answer", 60.0, f"h{claims.index(Claim.OURS)}")
    assert [await _claim(answers) for _ in range(2)] == [b"answer", b"answer"]


async def test_a_name_stands_for_one_request(answers: KeptAnswers) -> None:
    assert await _claim(answers) is Claim.OURS
    assert await _claim(answers, "other") is Claim.OTHER
    await answers.keep("n", "o", b"answer", 60.0, "h")
    assert await _claim(answers, "other") is Claim.OTHER


async def test_a_claim_that_came_to_nothing_is_free_again_and_an_answer_stays(answers: KeptAnswers) -> None:
    await _claim(answers)
    await answers.release("n", "h")
    assert await _claim(answers) is Claim.OURS
    await answers.keep("n", "o", b"answer", 60.0, "h")
    await answers.release("n", "h")
    assert await answers.find("n") == b"answer"


async def test_whoever_is_gone_loses_the_claim_soon_and_whoever_renews_it_does_not(
    database: Database, answers: KeptAnswers
) -> None:
    await _claim(answers)
    for _ in range(4):
        _pass_time(database, CLAIM_SECONDS / 2)
        await answers.renew("n", "h")
    assert await _claim(answers, holder="other") is Claim.UNDER_WAY
    _pass_time(database, CLAIM_SECONDS + 1)
    assert await _claim(answers, holder="other") is Claim.OURS


async def test_a_lost_claim_changes_nothing_of_the_next_ones(database: Database, answers: KeptAnswers) -> None:
    await _claim(answers)
    _pass_time(database, CLAIM_SECONDS + 1)
    assert await _claim(answers, holder="next") is Claim.OURS
    await answers.release("n", "h")
    await answers.renew("n", "h")
    await answers.keep("n", "o", b"late", 60.0, "h")
    assert await answers.find("n") is None
    await answers.keep("n", "o", b"answer", 60.0, "next")
    await answers.keep("n", "o", b"late", 60.0, "h")
    assert await answers.find("n") == b"answer"


async def test_answers_expire(database: Database, answers: KeptAnswers) -> None:
    await answers.keep("n", "o", b"answer", 60.0)
    _pass_time(database, 61.0)
    assert await answers.find("n") is None
    assert await database.write(lambda connection: remove_expired(database, connection)) == 1
    assert await _claim(answers) is Claim.OURS


async def test_the_database_holds_neither_names_nor_answers(database: Database, answers: KeptAnswers) -> None:
    await answers.keep("retry key:a 4711", "key:a", b"IMPRESSION: Viral pneumonia." * 10, 60.0)
    with database.reading() as connection:
        (row,) = connection.execute(sa.select(kept)).all()
    held = repr(tuple(row)).encode() + bytes(row.data)
    assert b"4711" not in held
    assert b"key:a" not in held
    assert b"pneumonia" not in held
    other = KeptAnswers(database, b"t" * 32, MEGABYTE)
    assert await other.find("retry key:a 4711") is None


async def test_one_client_leaves_room_to_the_others(answers: KeptAnswers) -> None:
    await answers.keep("a", "greedy", b"x" * (MEGABYTE // 4), 60.0)
    for ask in (_claim(answers, owner="greedy"), answers.keep("b", "greedy", b"x", 60.0), answers.check_room("greedy")):
        with pytest.raises(OutOfSpace):
            await ask
    await answers.check_room("o")
    assert await _claim(answers) is Claim.OURS


async def test_nothing_new_is_kept_past_the_size(answers: KeptAnswers) -> None:
    await answers.keep("a", "other", b"x" * (MEGABYTE + 1), 60.0)
    for ask in (_claim(answers), answers.keep("b", "o", b"x", 60.0), answers.check_room("o")):
        with pytest.raises(OutOfSpace):
            await ask
    assert await answers.find("a") is not None
