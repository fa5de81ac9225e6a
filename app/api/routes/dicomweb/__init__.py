"""DICOMweb: STOW-RS, QIDO-RS and WADO-RS (PS3.18), and deletion."""

from app.api.routes.dicomweb import delete, retrieve, search, store

routers = (store.router, search.router, retrieve.router, delete.router)

__all__ = ["routers"]
