"""What an import ends with."""


class ImportRefused(ValueError):
    """Files that cannot become a bundle; the message is one sentence that names the file and the mismatch."""
