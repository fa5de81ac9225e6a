"""The model card, written from measured figures and from the licences in the index."""

from collections import Counter
from typing import Any

from models.training.data import Study

_TEMPLATE = """# Model card: llm-cxr-demo

**Not a medical device. Not for clinical use.** A small demonstration model of the LLM-CXR method
(Lee et al., ICLR 2024) that makes the server testable without a download. It was trained for an hour or two on
two CPU cores, on a few thousand, mostly paediatric, radiographs whose labels are coarse. It is wrong often and
knows few findings.

## What it is
- Image tokenizer: a VQ-GAN in taming-transformers' layout, 256 px grey, 16 x 16 tokens, 1,024 codes, {vqgan_parameters}
  million parameters, trained with L1, squared and edge errors and codebook averages (no adversarial term).
- Language model: GPT-NeoX, {llm_parameters} million parameters, trained from scratch on reports, drawings and
  questions composed from the labels of the index; no radiologist wrote them.

## Measured on the held-out test split ({images} radiographs; groups are never shared with the training split)
| figure | value | 95 % interval | chance |
|---|---|---|---|
| reconstruction PSNR | {psnr} dB | | |
| codes used | {use} % | | |
| report states normal or pneumonia rightly, balanced accuracy | {two} | {two_interval} | 0.5 |
| report states normal, bacterial or viral, macro F1 | {three} | {three_interval} | about 0.33 |
| yes/no answers ({questions} balanced questions), accuracy | {answers} | | 0.5 |

The condition is read from the report's words; a report that states none counts as wrong. Sampling: greedy.

## Reproduce
`cxr train DATA OUT --bundle DIR --vqgan-steps {vqgan_steps} --instruct-steps {instruct_steps}` on a folder with
`index.csv` and `images/`. A stopped run goes on from OUT.

## Runs
{history}

## Training data, licences, attribution
{sources}

The labels separate children with and without pneumonia at one hospital; the model learns that hospital's images as much
as the disease. Sex, race and comorbidity are not known for most images, so bias was not measured.

## Examples of generated reports (test split, greedy)
{examples}
"""


def _sources(studies: list[Study]) -> str:
    counts = Counter((study.attribution, study.licence) for study in studies if study.split == "train")
    return "\n".join(f"- {count} images: {who}. Licence: {licence}." for (who, licence), count in counts.most_common())


def model_card(
    figures: dict[str, Any],
    studies: list[Study],
    *,
    vqgan_parameters: int,
    llm_parameters: int,
    vqgan_steps: int,
    instruct_steps: int,
    history: str,
) -> str:
    """MODEL_CARD.md as text. `history` is the log of runs that led to the weights, as Markdown."""
    reports, answers = figures["reports"], figures["answers"]
    examples = "\n".join(
        f"- labelled {item['label']}: {' / '.join(item['report'].split(chr(10)))}" for item in reports["examples"]
    )
    return _TEMPLATE.format(
        vqgan_parameters=round(vqgan_parameters / 1e6, 1),
        llm_parameters=round(llm_parameters / 1e6, 1),
        images=figures["images"],
        psnr=figures["psnr_db"],
        use=round(100 * figures["codebook_use"], 1),
        two=reports["normal_or_pneumonia_balanced_accuracy"],
        two_interval="{} to {}".format(*reports["interval"]),
        three=reports["three_kinds_macro_f1"],
        three_interval="{} to {}".format(*reports["three_kinds_interval"]),
        questions=answers["yes_no_questions"],
        answers=answers["accuracy"],
        vqgan_steps=vqgan_steps,
        instruct_steps=instruct_steps,
        history=history,
        sources=_sources(studies),
        examples=examples,
    )
