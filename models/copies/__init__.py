"""The films that a model was trained on, as an index small enough for a bundle: which one is nearest to a drawing."""
