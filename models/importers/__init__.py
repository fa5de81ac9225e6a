"""Published LLM-CXR files as bundles: a Hugging Face causal model and a taming-transformers VQ-GAN."""

from models.importers.bundle import Source, import_bundle
from models.importers.errors import ImportRefused
from models.importers.taming import load_taming_vqgan

__all__ = ["ImportRefused", "Source", "import_bundle", "load_taming_vqgan"]
