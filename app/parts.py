"""The parts of a service by its settings: bundle, codec, screen, engine; here, or in a Ray cluster."""

from app.codec import Codec
from app.engine import Engine
from app.errors import CxrError
from app.screening import Screen
from app.screening.own_model import OwnModelScreen, SecondOpinion, ServedModels
from app.settings import Settings
from models import bundle as bundles
from models.bundle import Bundle, BundleError
from models.copies.index import CopyIndex


def bundle_of(settings: Settings) -> Bundle:
    """The bundle that is served. Raises CxrError where it is refused."""
    try:
        bundle = bundles.load(settings.bundle)
        # Read now: one of other weights is to stop the start, not the first request.
        _ = bundle.findings_calibration
        return bundle
    except BundleError as error:
        raise CxrError(str(error), code="bundle_refused") from error


def copies_of(bundle: Bundle) -> CopyIndex | None:
    """The index of the bundle's training films, where it has one. Raises CxrError."""
    try:
        return bundle.copies
    except BundleError as error:
        raise CxrError(str(error), code="bundle_refused") from error


def is_elsewhere(settings: Settings) -> bool:
    """Whether engine and codec are in a Ray cluster."""
    return settings.scale.backend == "ray"


def codec_of(bundle: Bundle, settings: Settings) -> Codec:
    """The codec, not started yet."""
    if is_elsewhere(settings):
        # Imported here: Ray is an extra.
        from app.scale.remote import RemoteCodec

        return RemoteCodec(settings.scale, bundle.sha256)
    # Imported here: torch takes seconds to import, and a process with fakes does without it.
    from app.codec.worker import VqganCodec

    return VqganCodec(bundle, settings.codec)


def screen_of(bundle: Bundle, settings: Settings, codec: Codec, engine: Engine) -> Screen:
    """What looks at images first, not started yet."""
    own = ServedModels(codec, engine, bundle.prompts)
    if bundle.screen is None:
        return OwnModelScreen(own, bundle.calibration)
    # As above.
    from app.codec.worker import device_of
    from app.screening.network import NetworkScreen

    screen = NetworkScreen(bundle, settings.codec, device_of(settings.codec.device))
    return screen if bundle.calibration is None else SecondOpinion(screen, own, bundle.calibration)


def engine_of(bundle: Bundle, settings: Settings) -> Engine:
    """The engine, not started yet."""
    if is_elsewhere(settings):
        from app.scale.remote import RemoteEngine

        return RemoteEngine(settings.scale, bundle.sha256)
    # As above, vLLM.
    from app.engine.vllm import VllmEngine

    return VllmEngine(bundle, settings.engine, settings.state_dir / "cache")
