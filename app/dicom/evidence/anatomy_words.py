"""Names of body parts in descriptions: English, German, French, Spanish, Italian, folded (see `words.py`).

Names that mean something else in another language or beside a chest film stay out: French `main` and `cote`, Spanish
`de pie` (standing), `6 feet` of distance, `head up`.
"""

import re

from app.dicom.evidence.words import compiled

_OF_SPINE = r"(?:thora\w*|tora\w*|dors\w*|lumb\w*|lomb\w*|cerv\w*|sacr\w*|bws|hws|lws)"

# The order is that in which they are taken out of a text: long names before those that are part of them.
OTHERS = compiled(
    {
        "CHEST WALL": r"(?:chest|thora\w*) walls?|thoraxwand|brustwand|(?:paroi|pared|parete) (?:thora\w*|tora\w*)"
        r"|bony thorax|knochern\w* (?:hemi)?thorax\w*|thoraxskelett|thora\w* (?:outlet|apertur\w*)|thoraxapertur\w*",
        "SPINE": rf"(?:{_OF_SPINE} )*(?:(?:[ctl]|ct|tl|ls|whole|full|total) ?)?spines?"
        rf"|{_OF_SPINE} (?:vert\w*|wirbel\w*)"
        r"|\w*wirbel\w*|vertebra\w*|[bhl]w[sk]|[bhl]wsaule|tho?ra[ck]o ?lumb\w*|tora(?:c|co)? ?lomb\w*|cervi[ck]o ?\w+"
        rf"|(?:rachis|raquis|colonn[ea]|columna|espina)(?: vertebra\w*)?(?: {_OF_SPINE})*|dorso ?lomb\w*|lumbo ?sacr\w*"
        r"|lumbar\w*|lumbal\w*|lombair\w*|lombar\w*|sacrum|sacro|kreuzbein|ru(?:e?)ckgrat|rachid\w*|coccyx|steissbein|s[ck]olios\w*|escolios\w*",
        "RIBS": r"ribs?|rippen?|cotes|gril costal|costillas?|parrilla costal|coste|costole|costato",
        "STERNUM": r"stern(?:um|al)|brustbein|esternon|sterno",
        "CLAVICLE": r"clavic\w*|klavikula\w*|schlusselbein\w*|schluesselbein\w*|clavicol\w*",
        "SHOULDER": r"shoulders?|schulter\w*|epaules?|hombros?|spall[ae]|scapul\w*|skapul\w*|scapol\w*|omoplates?"
        r"|escapul\w*|ac joints?|acromio\w*|akromio\w*|ac gelenk",
        "HIP": r"hips?|huft\w*|hueft\w*|hanches?|caderas?|anc(?:a|he)|coxo\w*|acetabul\w*|azetabul\w*",
        "PELVIS": r"pelvis|pelvic|pelvien\w*|becken\w*|bassin|bacino|sa[ck]ro ?il\w*|ilio ?sa[ck]ral\w*|si gelenk\w*"
        r"|isg",
        "KNEE": r"knees?|knie\w*|genoux?|rodillas?|ginocchi\w*|patell\w*|rotul\w*",
        "HAND": r"hands?(?! held)|hand(?:gelenk|wurzel)\w*|wrists?|poignets?|mains? (?:droite|gauche|dte|gche|d|g)"
        r"|(?:rx|radio|radiographie)(?: des?| de la)? mains?|manos?|munecas?|pols[oi]|fingers?|doigts?|dedos?|dit[oa]"
        r"|thumbs?|daumen|pouces?|pulgar\w*|pollic[ei]|scaphoid\w*|kahnbein\w*|carpal|carp[eo]|handgelenk\w*",
        "ARM": r"elbows?|ell(?:en)?bogen\w*|coudes?|codos?|gomit\w*|forearms?|unterarm\w*|avant bras|antebrazos?"
        r"|avambracci\w*|humer\w*|oberarm\w*|upper (?:arm|limb|extremit\w*)s?|radius|ulna|olecran\w*",
        "FOOT": r"(?<!\d )(?:foot|feet)|\w*fuss|pieds? (?:droit|gauche|d|g)|(?:rx|radio|radiographie)(?: du| des?)?"
        r" pieds?|(?<!de )(?<!en )pies?|piede|ankles?|\w*sprunggelenk\w*|osg|chevilles?|tobillos?|cavigli\w*|toes?"
        r"|\w*zehen?|orteils?|[ck]al[ck]an\w*|ferse\w*|heels?|talus|tars(?:us|al)|metatars\w*",
        "LEG": r"femurs?|\w*schenkel\w*|tibia\w*|fibula\w*|legs?|lower (?:leg|limb|extremit\w*)s?|jambes?|cuisses?"
        r"|piernas?|muslos?|gamb[ae]|cosc(?:ia|e)|thighs?|(?:ganz)?beine?|(?:ganz)?bein(?:achse|aufnahme)\w*",
        "ABDOMEN": r"abdom\w*|kub|bauch\w*|addom\w*|ventre|belly|stomach|magen\w*|o?esophag\w*|osophag\w*|bowel|colon"
        r"|kidneys?|nieren?|urogra\w*|iv[pu]|kolon\w*|\w*kontrasteinlauf\w*|barium|asp",
        "SKULL": r"skull|\w*scha?e?del\w*|crane|craneo|crani(?:o|um|al)|heads?(?! (?:up|elevated|end|of))|kopf\w*|tete"
        r"|cabeza|testa|facial bones?|\w*sinus\w*|nnh|nasennebenh\w*|nasal bones?|nasenbein\w*|orbit\w*|mandib\w*"
        r"|\w*kiefer\w*|maxill\w*|jaws?|machoires?|mastoid\w*|zygoma\w*|jochbein\w*|temporo ?mandib\w*|tmj|adenoids?",
        "TEETH": r"dental\w*|dents?|teeth|tooth|zahn\w*|zaehne|dientes?|dent[ei]|panoram\w*|opg|opt|ortho?pant\w*"
        r"|panorex|bitewings?|periapical\w*|cephalo\w*",
        "NECK": r"necks?|hals\w*|cou|cuello|collo|larynx|nasopharynx",
        "BREAST": r"breasts?|mammo\w*|mamma",
        "BODY": r"whole body|babygramm?s?|skeletal survey|ganzkorper\w*|bone age|knochenalter\w*",
        "EXTREMITY": r"extremit\w*|limbs?|membres?|extremidad\w*",
    }
)
CHEST = re.compile(
    r"\b(?:chest(?!er|nut)\w*|cxr\w*|(?:hemi|bett|liegend|ganz)?thorax\w*|thora[ck]\w*|(?:hemi)?tora[xc]\w*|lungs?|lungen?"
    r"|lungen\w*|pulmo\w*|poumons?|poitrine|polmon\w*|brustkorb|brustorgane?|pecho)\b"
)
# Parts that a film of the chest may show as well, where the chest is named beside them.
NEIGHBOURS = frozenset({"ABDOMEN", "NECK", "RIBS", "STERNUM", "CLAVICLE"})
