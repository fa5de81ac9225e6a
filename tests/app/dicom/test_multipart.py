"""Multipart bodies that are written: whoever leaves them early leaves no file open."""

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from app.dicom.multipart import Source, write_parts, write_sources

CONTENT = bytes(300_000)  # two chunks


@pytest.mark.parametrize("taken", range(8))
async def test_a_body_that_is_left_closes_what_it_has_opened(taken: int) -> None:
    opened: list[io.BytesIO] = []

    async def parts() -> AsyncIterator[tuple[str, Source]]:
        for _ in range(2):
            opened.append(io.BytesIO(CONTENT))
            yield "application/dicom", opened[-1]

    async with contextlib.aclosing(write_sources(parts(), "x")) as body:
        for _ in range(taken):
            await anext(body)
    assert len(opened) == (0 if taken == 0 else 1 if taken < 5 else 2)
    assert all(source.closed for source in opened)


async def test_files_are_closed_with_the_body_that_they_are_read_for(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(CONTENT)
    for taken in (1, 2, 3):
        async with contextlib.aclosing(write_parts([file], "x")) as body:
            for _ in range(taken):
                await anext(body)
            assert str(file) in _open_files()
        assert str(file) not in _open_files()


def _open_files() -> set[str]:
    return {one.path for one in psutil.Process().open_files()}
