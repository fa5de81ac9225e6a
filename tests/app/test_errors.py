"""The exception tree and its statuses (`app.errors`, `app.api.http.problems`)."""

import ast
import re

from app import errors
from app.api.http.problems import STATUS, status_of
from tests.support.service import ROOT


def test_every_exception_of_the_tree_has_a_status() -> None:
    def below(kind: type[errors.CxrError]) -> list[type[errors.CxrError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    listed = {kind for kind, _, _ in STATUS}
    for kind in below(errors.CxrError):
        status, _ = status_of(kind("x"))
        assert 400 <= status < 600
        if kind is not errors.CxrError and issubclass(kind, errors.InputError):
            assert status < 500
    positions = [kind for kind, _, _ in STATUS]
    for index, kind in enumerate(positions):
        assert not any(issubclass(later, kind) for later in positions[index + 1 :]), kind
    assert errors.CxrError in listed


def _sentences() -> list[tuple[str, str]]:
    """Where an exception of the tree is made, and what it says; what is put into a sentence shows as {}."""
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    found = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", None) not in kinds or not node.args:
                continue
            said = node.args[0]
            if isinstance(said, ast.JoinedStr | ast.Constant):
                parts = said.values if isinstance(said, ast.JoinedStr) else [said]
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", text))
    return found


def test_what_clients_are_told_are_sentences_or_a_fields_name_and_its_rule() -> None:
    said = _sentences()
    assert len(said) > 60
    field = re.compile(r"(?:[A-Za-z_-]+|\{\}): \S")
    sentence = re.compile(r"[A-Z{].*[.}]", re.S)
    assert [place for place, text in said if not field.match(text) and not sentence.fullmatch(text)] == []
