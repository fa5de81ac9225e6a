"""Process-wide switches of third-party libraries: their one home. Each says what it changes and why.

`app` sets the environment when it is imported. A module that uses pydicom, Pillow, pynetdicom or DBOS calls the
library's function below before it does.
"""

import base64
import logging
import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any

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
    from pydicom import charset, config

    # Python's codec leaves the escape sequences in, against what pydicom takes it for (ISO 2022 IR 58).
    charset.handled_encodings = tuple(name for name in charset.handled_encodings if name != "iso_ir_58")
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


def serve_storage_class(uid: str, keyword: str) -> None:
    """Let pynetdicom serve C-STORE of a SOP class that it does not know; it answers such ones by an abort."""
    from pynetdicom import register_uid
    from pynetdicom.service_class import StorageServiceClass

    register_uid(uid, keyword, StorageServiceClass)


def set_up_pillow() -> None:
    """Turn Pillow's own limit on pixels off: the service has one, which its settings set and its messages name."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None


def set_up_dbos(json: Any, error_as_data: Callable[[BaseException], dict[str, Any]]) -> None:
    """Hand DBOS's log to the service's, keep values out of it, and take pickle away from DBOS.

    DBOS reads a row as what it says that it is, a pickle among others, so whoever writes to the database would run code
    here (https://github.com/dbos-inc/dbos-transact-py/issues/485). `json` reads and writes all that is JSON,
    `error_as_data` says what is kept of an error. Raises RuntimeError where a release of DBOS still unpickles.
    """
    from dbos import _serialization

    logger = logging.getLogger("dbos")
    # A logger that has a handler gets none of DBOS's.
    logger.handlers, logger.propagate = [logging.NullHandler()], True
    logger.setLevel(logging.ERROR)

    def refuse(_: object, __: str) -> object:
        raise ValueError("A row that is no JSON.")

    def write(_: object, value: Any) -> str:
        # The row says that it is a pickle; what becomes of its workflow is written all the same.
        return str(json.serialize(error_as_data(value) if isinstance(value, BaseException) else value))

    _serialization.DefaultSerializer.serialize = write
    _serialization.DefaultSerializer.deserialize = refuse
    _serialization.DBOSPortableJSON = json
    _serialization.exception_to_workflow_error_data = error_as_data
    harmless = base64.b64encode(pickle.dumps(None)).decode()
    for name in ("py_pickle", "portable_json", None):
        try:
            _serialization.deserialize_value(harmless, name, json)
        except ValueError:
            continue
        raise RuntimeError("this release of DBOS unpickles what the database holds; see app/third_parties.py")
