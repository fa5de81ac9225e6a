"""Whether two headers tell of one patient: modalities have sent two under one Study Instance UID."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.dicom.attributes import value_of

_ID, _ISSUER, _NAME, _BIRTH_DATE, _SEX = "00100020", "00100021", "00100010", "00100030", "00100040"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_SEXES = ("F", "M")


@dataclass(frozen=True)
class Patient:
    """What a header tells of who a patient is; empty where it does not."""

    identity: str
    issuer: str
    name: tuple[tuple[str, str], ...]
    birth_date: str
    sex: str

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "Patient":
        """The patient of attributes in DICOM JSON."""
        sex = value_of(attributes, _SEX).strip().upper()
        return cls(
            # Systems pad an ID with zeros and change its case; the issuer's too.
            value_of(attributes, _ID).strip().casefold().lstrip("0"),
            value_of(attributes, _ISSUER).strip().casefold(),
            tuple(sorted(_name(attributes).items())),
            value_of(attributes, _BIRTH_DATE).strip(),
            sex if sex in _SEXES else "",
        )

    def is_another(self, other: "Patient") -> bool:
        """Whether they are two patients: by another ID, or the same of two issuers; by name where one has no ID.

        An ID may be a placeholder: where it is the same, another name together with another birth date or sex tells.
        """
        if self.identity and other.identity and self.identity != other.identity:
            return True
        same = bool(self.identity) and self.identity == other.identity
        if same and self.issuer and other.issuer and self.issuer != other.issuer:
            return True
        renamed = _are_two_names(dict(self.name), dict(other.name))
        reborn = bool(self.birth_date and other.birth_date and self.birth_date != other.birth_date)
        resexed = bool(self.sex and other.sex and self.sex != other.sex)
        return renamed and (reborn or resexed) if same else renamed or reborn

    def is_surely(self, other: "Patient") -> bool:
        """Whether something that both headers tell says that they are one patient, and nothing says otherwise."""
        same_id = bool(self.identity) and self.identity == other.identity
        same_name = bool(self.name) and bool(other.name) and not (self.identity and other.identity)
        return (same_id or same_name) and not self.is_another(other)


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
