"""DICOMweb: STOW-RS, QIDO-RS and WADO-RS (PS3.18), and deletion."""

from app.api.routes.dicomweb import bulkdata, delete, retrieve, search, store

routers = (store.router, search.router, retrieve.router, bulkdata.router, delete.router)

__all__ = ["routers"]
