"""Process-wide switches of third-party libraries: their one home. Each says what it changes and why.

`app` sets the environment when it is imported. A module that uses pydicom, Pillow, pynetdicom or DBOS calls the
library's function below before it does.
"""

import logging
import os
import warnings

# Third parties do not phone home from a hospital network; a user who wants it sets the variable before starting.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # vLLM logs its start at INFO and warns about what does not apply here; the service logs its own start.
    "VLLM_LOGGING_LEVEL": "ERROR",
}


def set_environment() -> None:
    """Set the variables that libraries read when they are imported; those that are set already stay."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def set_up_pydicom() -> None:
    """Let pydicom read values that break their VR's rules, and keep values out of its warnings and log lines."""
    from pydicom import config

    # Real files break VR rules often; a strange name or date is no reason to refuse an instance.
    config.settings.reading_validation_mode = config.IGNORE
    # pydicom's warnings and log lines quote values, which may be a patient's. Filters are global, as headers are read
    # on several threads.
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def set_up_pynetdicom() -> None:
    """Silence pynetdicom, which logs what it receives, patients' attributes included."""
    from pynetdicom import _config

    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    # Its handlers put the lines together before the logger drops them.
    _config.LOG_HANDLER_LEVEL = "none"


def set_up_pillow() -> None:
    """Turn Pillow's own limit on pixels off: the service has one, which its settings set and its messages name."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None


def set_up_dbos() -> None:
    """Silence DBOS below errors: the service logs what becomes of a study."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
