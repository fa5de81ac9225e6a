"""Wire models that several routes share."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.inference.backend import EncodedImage
from app.inference.events import Drawing, Reading
from app.inference.generation import Usage


def _whole(text: str) -> str:
    try:
        # At once for ASCII, which is known of a text: an image's URL has megabytes.
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        # JavaScript makes them where it cuts an emoji in two.
        raise PydanticCustomError("lone_surrogate", "holds half a character (a lone surrogate)") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]


class WireModel(BaseModel):
    """Base of all wire models: a field that is not declared is an error."""

    model_config = ConfigDict(extra="forbid")


class NearestTrainingImage(WireModel):
    """The film of the model's training that a drawing is most similar to."""

    similarity: float = Field(description="cosine of their grey values in the broad, -1 to 1")
    limit: float = Field(description="above it a drawing is drawn again, or refused; an edit is given in any case")
    training_image: int = Field(description="row of the training split; it names no file and no patient")

    @classmethod
    def of(cls, drawing: Drawing) -> Self | None:
        """What is known of a drawing; None where it was not compared."""
        found = drawing.nearest
        if found is None:
            return None
        return cls(similarity=round(found.similarity, 4), limit=found.limit, training_image=found.row)


# Strict, since a form's text field would pass for bytes.
Upload = Annotated[
    bytes,
    Strict(),
    WithJsonSchema({"type": "string", "contentMediaType": "application/octet-stream"}),
    Field(description="DICOM, PNG (8 or 16 bit) or JPEG, recognised by content"),
]

NOTICE = "Draft by a research model. Not a medical device; not for clinical use."
Temperature = Annotated[float, Field(ge=0.0, le=2.0, description="0 takes the likeliest token")]
TopP = Annotated[float, Field(gt=0.0, le=1.0)]
GuidanceScale = Annotated[
    float,
    Field(
        ge=1.0,
        le=10.0,
        description="how much more a drawing follows its prompt than none (classifier-free guidance); 1: off; above it"
        " the drawing takes two slots and is counted twice; unset: the bundle's",
    ),
]


BestOf = Annotated[
    int,
    Field(
        ge=1,
        le=8,
        description="candidates of each drawing: the model reads its drawings back, and the one that agrees best with"
        " the prompt is returned; `usage` and the limit of images count all of them; above 1 a stream has no partial"
        " images; unset: 1",
    ),
]


def _seed(value: int) -> int | None:
    """-1 is a random one to many clients; what is longer than 31 bits is folded into them."""
    return None if value == -1 else value % 2**31


Seed = Annotated[
    int,
    Field(ge=-1, lt=2**63, description="modulo 2^31; the same seed alone gives the same output; -1: a random one"),
    AfterValidator(_seed),
]


class ImageForm(WireModel):
    """An uploaded radiograph."""

    image: Upload


class ScreenedForm(ImageForm):
    """An uploaded radiograph that is looked at before it is read."""

    screen: Literal["on", "off"] = Field(
        default="on", description="off: report on whatever it is, for research; needs the scope admin and is audited"
    )


class SamplingForm(ScreenedForm):
    """An uploaded radiograph and how to sample the text about it."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Seed | None = None


class UsageBody(WireModel):
    """Tokens in and out."""

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int

    @classmethod
    def from_usage(cls, usage: Usage) -> Self:
        """The tokens of one generation."""
        return cls(**vars(usage))


class ReadingBody(WireModel):
    """What the model reads in its own drawing."""

    text: str = Field(description="its report on the drawing")
    agrees: bool | None = Field(
        description="whether it states the condition, or else all findings, that the prompt states; null: not told"
    )
    log_likelihood: float = Field(
        description="of the prompt as the drawing's report: mean natural logarithm of a token's probability"
    )

    @classmethod
    def from_reading(cls, reading: Reading | None) -> Self | None:
        """The reading of a drawing that was chosen."""
        return None if reading is None else cls(**vars(reading))


class ScreenBody(WireModel):
    """What the screen decided, and the probabilities it saw."""

    decision: Literal["accepted", "warned", "turned", "unscreened"]
    probabilities: dict[str, float] = Field(
        description="of kinds (frontal, lateral, other_radiograph, not_a_radiograph), turns and flags",
        examples=[{"frontal": 0.998, "upright": 0.999, "mirrored": 0.02}],
    )


class ImageBody(WireModel):
    """The image that was read."""

    sha256: str = Field(description="of the uploaded bytes")
    source: Literal["dicom", "png", "jpeg"]
    width: int
    height: int
    view: str | None = None
    sop_instance_uid: str | None = None
    warnings: list[str]
    screen: ScreenBody

    @classmethod
    def from_image(cls, image: EncodedImage) -> Self:
        """The facts of a radiograph that was encoded."""
        radiograph, screened = image.radiograph, image.screened
        facts = radiograph.dicom
        return cls(
            sha256=radiograph.sha256,
            source=radiograph.source,
            width=radiograph.width,
            height=radiograph.height,
            view=facts.view if facts else None,
            sop_instance_uid=facts.sop_instance_uid if facts else None,
            warnings=list(radiograph.warnings),
            screen=ScreenBody(decision=screened.decision, probabilities=screened.probabilities),
        )
