"""The findings that a bundle declares: what it is asked about each, and how its two answers are scored."""
