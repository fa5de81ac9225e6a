"""Whether the images of a study are one patient's: modalities have sent two under one Study Instance UID."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from app.jobs.steps import JobFailed
from app.store.records import HeldInstance
from app.store.rows import value_of

_ID, _ISSUER, _NAME = "00100020", "00100021", "00100010"
# Spellings that are compared, each with each.
_MOST_NAMES = 64
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def check_one_patient(held: Iterable[HeldInstance]) -> None:
    """Raise JobFailed where held images name two patients."""
    identities: set[tuple[str, str]] = set()
    names: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for attributes in (instance.attributes for instance in held if instance.file is not None):
        patient, issuer = value_of(attributes, _ID).strip(), value_of(attributes, _ISSUER).strip()
        if patient:
            identities.add((patient, issuer))
        elif name := _name(attributes):
            names[tuple(sorted(name.items()))] = name
    unidentified = list(names.values())[:_MOST_NAMES]
    if any(_have_two_ids(one, other) for one, other in combinations(identities, 2)) or any(
        _are_two_names(one, other) for one, other in combinations(unidentified, 2)
    ):
        raise JobFailed("two_patients", "The study holds images of two patients; none of them was read.")


def _have_two_ids(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether they are two patients': another ID, or the same of two issuers."""
    return one[0] != other[0] or bool(one[1] and other[1] and one[1] != other[1])


def _name(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The component groups of the name, folded; families and given names stay apart by `^`."""
    values = attributes.get(_NAME, {}).get("Value") or [{}]
    groups = values[0] if isinstance(values[0], dict) else {"Alphabetic": str(values[0] or "")}
    return {group: folded for group in _GROUPS if (folded := _folded(str(groups.get(group) or "")))}


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^\w^]+", " ", "".join(one for one in plain if not unicodedata.combining(one))).strip(" ^")


def _are_two_names(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether names are clearly different: no word in common, or the same family and given names that begin otherwise.

    A name that is cut, abbreviated, or in another order is not.
    """
    groups = [group for group in _GROUPS if group in one and group in other]
    return bool(groups) and all(_differ(one[group], other[group]) for group in groups)


def _differ(one: str, other: str) -> bool:
    if not set(re.split(r"[\s^]+", one)) & set(re.split(r"[\s^]+", other)):
        return True
    (family, _, given), (other_family, _, other_given) = one.partition("^"), other.partition("^")
    return family == other_family and bool(given and other_given) and given[0] != other_given[0]
