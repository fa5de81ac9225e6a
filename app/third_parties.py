"""Process-wide switches of third-party libraries: their one home. Each says what it changes and why.

`app` sets the environment when it is imported. A module that uses pydicom, Pillow, pynetdicom or DBOS calls the
library's function below before it does.
"""

import base64
import io
import logging
import os
import pickle
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


class _DataUnpickler(pickle.Unpickler):
    """Unpickles texts, numbers, lists and dictionaries; what would import or call anything is refused."""

    def find_class(self, module: str, name: str) -> object:
        """Refuse. Raises pickle.UnpicklingError."""
        raise pickle.UnpicklingError("a pickle that is more than data; it was not run")


def set_up_dbos() -> None:
    """Silence DBOS below errors, and let it run nothing that the database holds.

    The service's rows are JSON. DBOS unpickles every row that says that it is a pickle, so whoever writes to the
    database would run code here (https://github.com/dbos-inc/dbos-transact-py/issues/485). Rows of the first release
    are pickles of texts, and are still read.
    """
    from dbos import _serialization

    def deserialize(_: object, text: str) -> object:
        return _DataUnpickler(io.BytesIO(base64.b64decode(text))).load()

    logging.getLogger("dbos").setLevel(logging.ERROR)
    _serialization.DefaultSerializer.deserialize = deserialize
