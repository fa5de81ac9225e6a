"""Text and image ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers import models as tokenizer_models

from models.vocabulary import SPECIAL_TOKENS, Vocabulary, VocabularyError
from tests.support.service import CODEBOOK, SHARED, byte_tokenizer, byte_vocabulary

VOCABULARY = byte_vocabulary()


@given(st.lists(st.integers(0, CODEBOOK - 1), max_size=300))
def test_codes_become_image_ids_and_come_back(codes: list[int]) -> None:
    ids = VOCABULARY.image_ids(codes)
    assert all(VOCABULARY.text_size <= i < VOCABULARY.size for i in ids)
    assert VOCABULARY.codes(ids) == codes


@given(st.text(max_size=200))
def test_text_never_becomes_a_control_token_or_an_image_id(text: str) -> None:
    ids = VOCABULARY.encode(text)
    assert not VOCABULARY.controls & set(ids)
    assert all(i < VOCABULARY.text_size for i in ids)
    assert VOCABULARY.decode(ids) == text


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_control_token_written_in_text_stays_text(token: str) -> None:
    ids = VOCABULARY.encode(f"a {token} b")
    assert not VOCABULARY.controls & set(ids)
    assert VOCABULARY.decode(ids) == f"a {token} b"


def test_control_and_image_ids_leave_no_trace_in_decoded_text() -> None:
    ids = [VOCABULARY.response, *VOCABULARY.encode("clear"), VOCABULARY.image_offset + 3, VOCABULARY.end]
    assert VOCABULARY.decode(ids) == "clear"


@pytest.mark.parametrize("code", [-1, CODEBOOK])
def test_a_code_outside_the_codebook_is_named(code: int) -> None:
    with pytest.raises(ValueError, match=f"code {code} at position 1"):
        VOCABULARY.image_ids([0, code])


def test_a_text_id_is_no_code() -> None:
    with pytest.raises(ValueError, match="not an image token"):
        VOCABULARY.codes([VOCABULARY.text_size - 1])


def test_a_tokenizer_of_another_size_is_refused() -> None:
    with pytest.raises(VocabularyError, match="entries"):
        Vocabulary.from_tokenizer(byte_tokenizer(), 10, 10, CODEBOOK)


def test_a_tokenizer_without_the_special_tokens_is_refused() -> None:
    plain = Tokenizer(tokenizer_models.BPE({"a": 0}, []))
    with pytest.raises(VocabularyError, match="End"):
        Vocabulary.from_tokenizer(plain, 1, 1, CODEBOOK)


@pytest.mark.skipif(not SHARED.exists(), reason="the published tokenizer is not here")
def test_the_published_tokenizer_loads_with_its_ids() -> None:
    vocabulary = Vocabulary.load(SHARED / "dolly-tokenizer" / "tokenizer.json", 50281, 50281, CODEBOOK)
    assert vocabulary.size == 51305
    assert (vocabulary.end, vocabulary.instruction, vocabulary.response, vocabulary.padding) == (50277, 50278, 50280, 0)
