"""Takes files of the spool that the database did not know in again, as if they were sent anew."""

import shutil
from collections.abc import Iterator

from app.dicom.status import FailureReason, Receipt
from app.imaging.headers import Headers
from app.ingest.ingestor import Ingestor
from app.jobs.dbos import WorkflowEngine
from app.settings import Settings
from app.store.database import Database, database_url
from app.store.spool import Spool
from app.store.state_folder import claim

_SENDER = "adopt"


def adopt(settings: Settings) -> Iterator[tuple[str, Receipt]]:
    """Take in every file that was set aside; yields its name and receipt.

    What was stored, or is held already, leaves `spool/unknown`; what is refused stays there. The service may run
    meanwhile: it works on the studies. Raises CxrError.
    """
    spool = Spool(settings.state_dir / "spool", settings.limits.min_free_mb)
    database = Database(database_url(settings.database_url, settings.state_dir))
    try:
        # Never into another folder's database: it would name files that its service does not find.
        claim(database, spool)
        engine = WorkflowEngine(settings, database)
        engine.connect()
        headers = Headers(settings.imaging)
        ingestor = Ingestor(spool, database, engine.enqueue_reading, headers, on_change="keep")
        ingestor.start()
        try:
            for name in sorted(spool.unknown_names()):
                aside, taken = spool.unknown / name, spool.new_file()
                if aside.is_symlink():
                    yield name, Receipt(None, None, failure=FailureReason.CANNOT_UNDERSTAND, detail="It is a link.")
                    continue
                try:
                    # A copy, not a link: its time is new, so that a start does not take it for a remain meanwhile. The
                    # ingestor removes it where it refuses.
                    shutil.copyfile(aside, taken, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another adoption was faster
                receipt = ingestor.accept(taken, sender=_SENDER).result()
                if receipt.failure is None:
                    aside.unlink(missing_ok=True)
                yield name, receipt
        finally:
            ingestor.close()
            headers.close()
    finally:
        database.close()
