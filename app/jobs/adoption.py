"""Takes files of the spool that the database did not know in again, as if they were sent anew."""

import os
from collections.abc import Iterator

from app.dicom.status import Receipt
from app.imaging.headers import Headers
from app.ingest.ingestor import Ingestor
from app.jobs.dbos import WorkflowEngine
from app.settings import Settings
from app.store.database import Database, database_url
from app.store.spool import Spool

_SENDER = "adopt"


def adopt(settings: Settings) -> Iterator[tuple[str, Receipt]]:
    """Take in every file that was set aside; yields its name and receipt.

    What was stored, or is held already, leaves `spool/unknown`; what is refused stays there. The service may run
    meanwhile: it works on the studies. Raises CxrError.
    """
    spool = Spool(settings.state_dir / "spool", settings.limits.min_free_mb)
    database = Database(database_url(settings.database_url, settings.state_dir))
    try:
        engine = WorkflowEngine(settings, database)
        engine.connect()
        headers = Headers(settings.imaging)
        ingestor = Ingestor(spool, database, engine.enqueue_reading, headers)
        ingestor.start()
        try:
            for name in sorted(spool.unknown_names()):
                aside, taken = spool.unknown / name, spool.new_file()
                # A second name for the file: the ingestor removes the one that it is given where it refuses.
                os.link(aside, taken)
                receipt = ingestor.accept(taken, sender=_SENDER).result()
                if receipt.failure is None:
                    aside.unlink()
                yield name, receipt
        finally:
            ingestor.close()
            headers.close()
    finally:
        database.close()
