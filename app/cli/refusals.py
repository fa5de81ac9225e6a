"""Errors that are no defects of the service: as a line."""

import errno

from app.errors import CxrError

_OF_THE_MACHINE = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EPIPE,
    errno.EROFS,
}  # fmt: skip


def sentence_of(error: Exception) -> str | None:
    """What a user is told of an error, None where its traceback is what helps."""
    if isinstance(error, CxrError):
        return error.detail
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        place = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{place}"
    return None
