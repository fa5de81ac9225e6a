"""The exception tree and its statuses (`app.errors`, `app.api.http.problems`)."""

from app import errors
from app.api.http.problems import STATUS, status_of


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
