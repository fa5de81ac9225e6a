"""Trained parts to a bundle folder."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from models.bundle.manifest import DecodingDefaults, Manifest
from models.bundle.writer import BundleWriter
from models.storage import WEIGHTS_FILE
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN


def export_bundle(
    folder: Path,
    *,
    name: str,
    version: str,
    licence: str,
    intended_use: str,
    vqgan: VQGAN,
    llm: PreTrainedModel,
    vocabulary: Vocabulary,
    decoding: DecodingDefaults,
    card: str = "Not evaluated yet. Not for clinical use.\n",
    dtype: torch.dtype = torch.bfloat16,
) -> Manifest:
    """Write a complete bundle to `folder`, replacing what is there once everything is written.

    Language-model weights are stored as `dtype`; the configuration asks for fp32 at run time, fastest on CPUs.
    """
    writer = BundleWriter(folder)
    writer.weights(
        WEIGHTS_FILE, {key: tensor.detach().to(dtype).contiguous() for key, tensor in llm.state_dict().items()}
    )
    llm.config.architectures = [type(llm).__name__]
    writer.llm_config(llm.config)
    writer.tokenizer(vocabulary.tokenizer)
    vqgan.save(writer.vqgan_folder)
    return writer.publish(
        name=name,
        version=version,
        licence=licence,
        intended_use=intended_use,
        vocabulary=vocabulary,
        decoding=decoding,
        card=card,
        replace=True,
    )
