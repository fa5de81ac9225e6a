"""The scheduling of pairs, on vLLM's own scheduler and a core that computes nothing."""

import random
from typing import Any

import pytest

from tests.support.scheduling import Core, Shape, expected, pair, request

pytestmark = pytest.mark.engine
pytest.importorskip("app.engine.pairs", reason="vLLM is not installed", exc_type=ImportError)

LONGEST = 64


def shape_of(chance: random.Random) -> Shape:
    slots, size, chunked = chance.choice([2, 3, 4, 8]), chance.choice([2, 4, 16]), chance.random() < 0.6
    least = 2 * -(-LONGEST // size) + 1
    return Shape(
        slots=slots,
        budget=chance.choice([max(slots, 4), max(slots, 9), 20, 64]) if chunked else chance.choice([64, 100]),
        blocks=chance.choice([least, least + 3, 2 * least, 6 * least]),
        block_size=size,
        chunked=chunked,
        caching=chance.random() < 0.6,
        policy=chance.choice(["priority", "fcfs"]),
        overlapped=chance.random() < 0.5,
        longest=LONGEST,
    )


def arrivals_of(chance: random.Random, size: int) -> list[tuple[int, Any]]:
    """Requests and the steps in which they come; the rows of some pairs come apart, in either order."""

    def prompt(least: int, tokens: int) -> list[int]:
        count = chance.randint(least, LONGEST - tokens)
        return list(range(count)) if chance.random() < 0.6 else [chance.randrange(500) for _ in range(count)]

    found: list[tuple[int, Any]] = []
    for number in range(chance.randint(1, 14)):
        tokens, at = chance.randint(1, 20), chance.randint(0, 60)
        members = {"priority": chance.choice([0, 0, 10]), "block_size": size, "arrival_time": float(number)}
        if chance.random() < 0.4:
            found.append((at, request(f"single-{number}", prompt(1, tokens), tokens, **members)))
            continue
        rows = [*pair(f"pair-{number}", prompt(2, tokens), prompt(2, tokens), tokens, **members)]
        chance.shuffle(rows)
        found += zip((at, at + chance.choice([0, 0, 0, 1, 5])), rows, strict=True)
    return sorted(found, key=lambda item: item[0])


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_pairs_are_whole_in_every_step_whatever_comes_and_goes(start: int) -> None:
    preempted = aborted = 0
    for seed in range(start, start + 50):
        chance = random.Random(seed)
        shape = shape_of(chance)
        core, arrivals = Core(shape), arrivals_of(chance, shape.block_size)
        wanted = {one.request_id: one.max_tokens for _, one in arrivals}
        requests = [one for _, one in arrivals]
        leaving = {chance.randint(0, 120): name for name in wanted if chance.random() < 0.1}
        step, gone = 0, set()
        while arrivals or core.scheduler.has_requests():
            while arrivals and arrivals[0][0] <= step:
                core.add(arrivals.pop(0)[1])
            name = leaving.get(step, "")
            if name in core.scheduler.requests and (name.startswith("single") or name in core.scheduler._twins):
                core.abort(name)
                gone.add(name.removesuffix("-without"))
            core.step()
            step += 1
            assert step < 3000, (seed, shape, core.left())
        core.run()
        assert not core.left(), (seed, core.left())
        preempted += sum(one.num_preemptions > 0 for one in requests)
        aborted += len(gone)
        for name, tokens in wanted.items():
            ids = core.ids.get(name, [])
            assert ids == expected(name, len(ids)), (seed, name)
            if name.removesuffix("-without") not in gone:
                assert (len(ids), core.ended[name]) == (tokens, "length"), (seed, name, core.reasons)
            elif len(ids) < tokens:
                assert core.ended[name] in ("abort", "error"), (seed, name)
    assert preempted
    assert aborted


def test_rows_of_different_lengths_begin_together_and_end_together() -> None:
    core = Core(Shape())
    core.add(*pair("p", list(range(50)), list(range(100, 110)), 5))
    assert core.step() == {"p", "p-without"}
    assert core.ids == {}  # the last token of either is held back for a step of both
    assert core.step() == {"p", "p-without"}
    assert core.ids == {"p": expected("p", 1), "p-without": expected("p", 1)}
    core.run()
    assert core.ended == {"p": "length", "p-without": "length"}


@pytest.mark.parametrize("chunked", [True, False])
def test_prompts_that_one_step_cannot_hold_are_read_over_several(chunked: bool) -> None:
    shape = Shape(budget=16 if chunked else 60, chunked=chunked)
    core = Core(shape)
    core.add(*pair("p", list(range(50)), list(range(100, 140)), 3))
    steps = core.run()
    assert steps > 4
    assert core.ids["p"] == core.ids["p-without"] == expected("p", 3)


def test_a_row_waits_for_its_twin_and_counts_as_waiting() -> None:
    core = Core(Shape())
    asked, without = pair("p", [1, 2, 3], [4, 5], 2)
    core.add(without)
    assert core.step() == set()
    assert core.scheduler.get_request_counts() == (0, 1)
    core.add(asked)
    core.run()
    assert core.ids["p"] == expected("p", 2)


def test_a_row_whose_twin_never_comes_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.pairs._LONGEST_ALONE", -1.0)
    core = Core(Shape())
    core.add(pair("p", [1, 2, 3], [4, 5], 2)[0])
    core.run()
    assert (core.ended, core.reasons) == ({"p": "error"}, {"p": "guidance_row_lost"})
    assert not core.left()


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("leaving", ["p", "p-without"])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_where_one_row_leaves_the_other_ends_with_an_error_at_once(leaving: str, steps: int, overlapped: bool) -> None:
    core = Core(Shape(overlapped=overlapped))
    core.add(*pair("p", [1, 2, 3], [4, 5], 40))
    for _ in range(steps):
        core.step()
    core.abort(leaving)
    other = {"p": "p-without", "p-without": "p"}[leaving]
    assert core.step() == set()
    core.run()
    assert (core.ended[other], core.reasons[other]) == ("error", "guidance_row_lost")
    assert not core.left()


def test_a_pair_gets_into_a_full_engine_before_what_came_later() -> None:
    core = Core(Shape(slots=3))
    core.add(*(request(f"early-{number}", [1, 2], 10 + number, arrival_time=1.0) for number in range(3)))
    core.step()
    core.add(*pair("p", [1, 2, 3], [4, 5], 5, arrival_time=2.0))
    core.add(*(request(f"late-{number}", [1, 2], 5, arrival_time=3.0) for number in range(3)))
    seen: list[set[str]] = []
    while "p" not in core.ended:
        seen.append(core.step())
    assert not any(name.startswith("late") for names in seen[:11] for name in names)
    first = next(place for place, names in enumerate(seen) if "p" in names)
    assert first == 10  # when two of the three have ended
    core.run()
    assert set(core.ended.values()) == {"length"}


def test_who_is_more_urgent_goes_before_a_pair_that_waits() -> None:
    core = Core(Shape(slots=2))
    core.add(request("early", [1, 2], 10))
    core.step()
    core.add(*pair("p", [1, 2, 3], [4, 5], 5, priority=10))
    core.add(request("urgent", [1, 2], 3, priority=0))
    assert core.step() == {"early", "urgent"}
    core.run()
    assert set(core.ended.values()) == {"length"}


@pytest.mark.parametrize(
    ("shape", "asked", "reason"),
    [
        (Shape(blocks=20), 40, "guidance_too_large"),
        (Shape(slots=1), 3, "guidance_too_large"),
        (Shape(), 1, "guidance_prompt_too_short"),
    ],
)
def test_a_pair_that_could_never_be_let_in_ends_with_an_error(shape: Shape, asked: int, reason: str) -> None:
    core = Core(shape)
    core.add(*pair("p", list(range(asked)), [4, 5], 20), request("single", [1, 2], 2))
    core.run()
    assert core.reasons == {"p": reason, "p-without": reason, "single": None}
    assert not core.left()


def test_rows_that_were_drawn_from_apart_end_with_an_error() -> None:
    core = Core(Shape())
    core.add(*pair("p", [1, 2, 3], [4, 5], 40))
    for _ in range(3):
        core.step()
    # What the rules exclude.
    core.scheduler._ready = lambda one: one.request_id == "p"
    core.step()
    assert {core.reasons["p"], core.reasons["p-without"]} == {"guidance_rows_differ"}
    assert not core.left()


def test_both_rows_are_preempted_and_come_back_together() -> None:
    core = Core(Shape(blocks=24, caching=False))
    core.add(request("old", list(range(20)), 40, arrival_time=1.0), *pair("p", [1] * 12, [2] * 9, 30, arrival_time=2.0))
    core.step()
    while not core.scheduler._aside:
        assert core.step() in ({"old"}, {"old", "p", "p-without"})
    assert {one.request_id for one in core.scheduler.running} == {"old"}
    core.run()
    assert core.ids["p"] == core.ids["p-without"] == expected("p", 30)
