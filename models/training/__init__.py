"""Training of the image tokenizer and of the language model."""
