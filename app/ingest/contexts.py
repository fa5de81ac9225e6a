"""The presentation contexts that the storage SCP accepts (PS3.8 9.3.2.2)."""

from pydicom.uid import AllTransferSyntaxes, UID_dictionary
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import ServiceClass
from pynetdicom.sop_class import Verification, uid_to_service_class

from app.dicom.uids import is_image_class, storage_classes
from app.imaging.syntaxes import DECODED
from app.third_parties import serve_storage_class

# Of several that a context offers, the first in the list is accepted.
_OTHERS = (*DECODED, *(syntax for syntax in AllTransferSyntaxes if syntax not in DECODED))


def accepted_contexts() -> list[PresentationContext]:
    """Verification, and every storage SOP class of the standard.

    Images are accepted in what is decoded here, so that senders decompress the others; what has no pixel data to read,
    and video, which has no other form, in all transfer syntaxes that pydicom knows.
    """
    contexts = [build_context(Verification)]
    for uid in storage_classes():
        if uid_to_service_class(uid) is ServiceClass:  # it has no such class; most are retired
            serve_storage_class(uid, UID_dictionary[uid][4])
        contexts.append(build_context(uid, list(DECODED if is_image_class(uid) else _OTHERS)))
    return contexts
