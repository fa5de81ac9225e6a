"""The XMP packet of a drawing (ISO 16684-1), with IPTC's Digital Source Type.

Article 50 of the EU's AI Act asks for marks that machines read; its code of practice names metadata first.
"""

from xml.sax.saxutils import escape

from app.dicom.secondary_capture import Provenance

# https://cv.iptc.org/newscodes/digitalsourcetype/: made by a model that was trained on sampled content.
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SYSTEM = "LLM-CXR server"
_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
<Iptc4xmpExt:AISystemUsed>{system}</Iptc4xmpExt:AISystemUsed>
<Iptc4xmpExt:AISystemVersionUsed>{model}</Iptc4xmpExt:AISystemVersionUsed>
<xmp:CreatorTool>{system}</xmp:CreatorTool>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def packet(provenance: Provenance, notice: str) -> str:
    """The packet of a drawing; `notice` is what its readers are to be told besides."""
    return _PACKET.format(
        source=TRAINED_ALGORITHMIC_MEDIA,
        system=SYSTEM,
        model=escape(provenance.model),
        description=escape(f"{provenance.sentence}. {notice}"),
    )
