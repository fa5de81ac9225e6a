"""Transfer syntaxes whose pixel data is decoded here, the best first."""

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

# Explicit VR before implicit, in which the VRs of private elements are lost.
UNCOMPRESSED = (
    ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian,
)  # fmt: skip
LOSSLESS = (
    RLELossless, JPEGLSLossless, JPEGLosslessSV1, JPEGLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL,
)  # fmt: skip
# JPEG 2000 and HTJ2K may be either.
LOSSY = (JPEGLSNearLossless, JPEG2000, HTJ2K, JPEGExtended12Bit, JPEGBaseline8Bit)
DECODED = UNCOMPRESSED + LOSSLESS + LOSSY
