"""Answers that are kept: one maker a name, sealed, for a while, up to a size. On SQLite and on PostgreSQL."""

import asyncio

import pytest
import sqlalchemy as sa

from app.errors import OutOfSpace
from app.store.database import Database
from app.store.kept import Claim, KeptAnswers, remove_expired
from app.store.tables import kept

SECRET = b"s" * 32
MEGABYTE = 1_000_000


@pytest.fixture
def answers(database: Database) -> KeptAnswers:
    return KeptAnswers(database, SECRET, MEGABYTE)


def _pass_time(database: Database, seconds: float) -> None:
    with database.transaction() as connection:
        connection.execute(sa.update(kept).values(expires=kept.c.expires - seconds))


async def test_of_many_at_once_one_makes_the_answer_and_all_get_it(answers: KeptAnswers) -> None:
    claims = await asyncio.gather(*(answers.claim("n", "d", 60.0) for _ in range(8)))
    assert sorted(claim.name for claim in claims) == ["OURS", *["UNDER_WAY"] * 7]
    await answers.keep("n", b"answer", 60.0, "d")
    assert [await answers.claim("n", "d", 60.0) for _ in range(2)] == [b"answer", b"answer"]


async def test_a_name_stands_for_one_request(answers: KeptAnswers) -> None:
    assert await answers.claim("n", "d", 60.0) is Claim.OURS
    assert await answers.claim("n", "other", 60.0) is Claim.OTHER
    await answers.keep("n", b"answer", 60.0, "d")
    assert await answers.claim("n", "other", 60.0) is Claim.OTHER


async def test_a_claim_that_came_to_nothing_is_free_again_and_an_answer_stays(answers: KeptAnswers) -> None:
    await answers.claim("n", "d", 60.0)
    await answers.release("n")
    assert await answers.claim("n", "d", 60.0) is Claim.OURS
    await answers.keep("n", b"answer", 60.0, "d")
    await answers.release("n")
    assert await answers.find("n") == b"answer"


async def test_whoever_is_gone_loses_the_claim_and_answers_expire(database: Database, answers: KeptAnswers) -> None:
    await answers.claim("n", "d", 60.0)
    _pass_time(database, 61.0)
    assert await answers.claim("n", "d", 60.0) is Claim.OURS
    await answers.keep("n", b"answer", 60.0, "d")
    _pass_time(database, 61.0)
    assert await answers.find("n") is None
    assert await database.write(lambda connection: remove_expired(database, connection)) == 1
    assert await answers.claim("n", "d", 60.0) is Claim.OURS


async def test_the_database_holds_neither_names_nor_answers(database: Database, answers: KeptAnswers) -> None:
    await answers.keep("retry key:a 4711", b"IMPRESSION: Viral pneumonia." * 10, 60.0, "d")
    with database.reading() as connection:
        (row,) = connection.execute(sa.select(kept)).all()
    held = repr(tuple(row)).encode() + bytes(row.data)
    assert b"4711" not in held
    assert b"pneumonia" not in held
    other = KeptAnswers(database, b"t" * 32, MEGABYTE)
    assert await other.find("retry key:a 4711") is None


async def test_nothing_new_is_kept_past_the_size(answers: KeptAnswers) -> None:
    await answers.keep("a", b"x" * (MEGABYTE + 1), 60.0)
    for ask in (answers.claim("b", "d", 60.0), answers.keep("b", b"x", 60.0)):
        with pytest.raises(OutOfSpace):
            await ask
    assert await answers.find("a") is not None
