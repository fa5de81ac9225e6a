"""What an exception is called where its message must not be repeated: it may quote what a client sent, or a report."""


def database_code(error: BaseException) -> str | None:
    """What a database says of a statement that it refused: PostgreSQL's SQLSTATE, or SQLite's name of its error."""
    for found in (error, getattr(error, "orig", None)):
        for attribute in ("sqlstate", "sqlite_errorname"):
            code = getattr(found, attribute, None)
            if isinstance(code, str):
                return code
    return None


def named(error: BaseException) -> str:
    """The class of an error, with the database's code where it has one."""
    code = database_code(error)
    return type(error).__name__ if code is None else f"{type(error).__name__} ({code})"
