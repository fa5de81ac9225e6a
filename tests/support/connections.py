"""Marks of tests in which a DICOM connection fails."""

import pytest

# pynetdicom leaves the socket of a connection that failed to the collector, which closes it with a warning.
FAILED_CONNECTIONS = [
    pytest.mark.usefixtures("failed_connections"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.*:pytest.PytestUnraisableExceptionWarning"),
]
