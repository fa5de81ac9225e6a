"""DICOMweb: STOW-RS, QIDO-RS and WADO-RS (PS3.18)."""

from app.api.routes.dicomweb import retrieve, search, store

routers = (store.router, search.router, retrieve.router)

__all__ = ["routers"]
