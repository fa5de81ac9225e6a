"""Names of views in view positions and descriptions: English, German, French, Spanish, Italian, folded."""

import re

from app.dicom.evidence.words import compiled

WORDS = compiled(
    {
        "PA": r"pa|p a|dv|d v|postero ?ant\w*|post(?:erior)? ant(?:erior)?|dorso ?ventral\w*",
        "AP": r"ap|a p|vd|v d|antero ?post\w*|ant(?:erior)? post(?:erior)?|ventro ?dorsal\w*",
        "FRONTAL": r"frontal\w*|front|face|frente|coronal\w*",
        # `later` is no view, and `laterality` none either; bilateral is one word.
        "LATERAL": r"lat|lats|lateral(?!it)\w*|latero ?later\w*|seitl\w*|seitenaufnahme\w*|(?<!low )profil[eo]?"
        r"|(?:links|rechts|li|re) anl\w*|perfil|ll|rl|l lat|r lat|x ?table|cross ?table|swimmers?"
        r"|medio ?lateral\w*|latero ?medial\w*",
        "OBLIQUE": r"obl|obli\w*|schrag\w*|schraeg\w*|lao|rao|lpo|rpo|llo|rlo",
    }
)
# Decubitus of the back or belly is the posture of a frontal film (French, Spanish, Italian).
SUPINE = re.compile(r"\b(?:en )?decub\w* (?:supin\w*|dorsal\w*|dorso|pron\w*|ventral\w*)\b")
OTHERWISE = re.compile(
    r"\b(?:(?:left|right|l|r|lat|lateral\w*) )*(?:\w*decub\w*|lordo\w*|\w*seitenlage\w*)(?: lat\w*)?\b"
    r"|\b(?:lld|rld|axial\w*|tangent\w*)\b"
)
# Words of a view position that tell no side: posture, place, breathing, body part, placeholders.
NOISE = re.compile(
    r"\d+|cm|erect|upright|supine|prone|sitting|seated|semi|semierect|standing|stehend|liegend|sitzend|portable|port|mobile"
    r"|bedside|bed|stand|wall|table|bucky|detector|stretcher|chair|wheelchair|recumbent|lying|in|ex|insp\w*|exp\w*|grid|nongrid|chest|thorax|torax|lungs?"
    r"|adult|child|ped\w*|view|projection|unknown|undefined|unspecified|none|na|n|a|nil|debout|couche|assis|de|pie"
)
