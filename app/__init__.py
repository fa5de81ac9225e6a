"""The LLM-CXR server: HTTP in front, an image codec and a language-model engine behind."""

from app.third_parties import set_environment

# Before any library that reads them is imported.
set_environment()
