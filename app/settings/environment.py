"""Variables that begin with CXR_ and that nothing reads: one underscore too few turned TLS off unseen."""

import difflib
import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

_PREFIX = "CXR_"
# Read by clients' commands, and by the service's own processes.
_OTHERS = ("CXR_URL", "CXR_API_KEY", "CXR_GATEWAY_PID")
# What Kubernetes sets in each pod for a Service called `cxr`.
_OF_KUBERNETES = re.compile(r"CXR_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?)")


class UnknownSettings(ValueError):
    """Variables that nothing reads; `lines` has a sentence for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def check_names(settings: type[BaseModel], environment: Mapping[str, str]) -> None:
    """Raises UnknownSettings where a name is no setting's."""
    known = dict(_names(settings, _PREFIX))
    open_ends = tuple(f"{name}__" for name, kind in known.items() if kind == "table")
    lines = []
    for name, value in sorted(environment.items()):
        upper = name.upper()
        if not upper.startswith(_PREFIX) or upper in _OTHERS:
            continue
        kubernetes = _OF_KUBERNETES.fullmatch(upper) and (upper not in known or value.startswith(("tcp:", "udp:")))
        if kubernetes:
            lines.append(f"{name} is of Kubernetes, for a Service called `cxr`: set `enableServiceLinks: false`")
        elif not value and known.get(upper) == "path":
            lines.append(f"{name} is empty, and would be the current folder: give it a value, or unset it")
        elif upper not in known and not upper.startswith(open_ends):
            near = difflib.get_close_matches(upper, known, 1, 0.6)
            lines.append(f"{name} is no setting" + (f": did you mean {near[0]}?" if near else ""))
    if lines:
        raise UnknownSettings(lines)


def _names(group: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    """Every name, and its kind: `table` where it has parts that nobody knows before, `path`, or nothing."""
    for name, field in group.model_fields.items():
        whole = f"{prefix}{name.upper()}"
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        kind = str(field.annotation)
        yield whole, "table" if kind.startswith(("dict", "tuple")) else "path" if "pathlib" in kind else ""
        if nested:
            yield from _names(field.annotation, f"{whole}__")  # type: ignore[arg-type]
