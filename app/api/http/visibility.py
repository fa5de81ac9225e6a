"""What a client sees of the studies, and whose those are that it sends."""

from fastapi import Request

from app.api.request_scope import Touched, request_scope
from app.security.identity import ALL_TENANTS, Identity, Scope
from app.settings import DEFAULT_TENANT
from app.store.owners import EVERYTHING, Owner, Viewer


def owner_of(identity: Identity) -> Owner:
    """Whose a study is that the client sends."""
    tenant = DEFAULT_TENANT if identity.tenant == ALL_TENANTS else identity.tenant
    return Owner(identity.id, tenant)


def viewer_of(request: Request, *scopes: Scope) -> Viewer:
    """The studies that a client sees by one of the scopes: its tenant's. Without them, those that it has sent."""
    identity = request_scope(request.scope).identity
    if identity.sees_all_tenants and any(identity.may(scope) for scope in scopes):
        return EVERYTHING
    owner = None if any(identity.may(scope) for scope in scopes) else identity.id
    return Viewer(identity.tenant if identity.tenant != ALL_TENANTS else None, owner)


def reader_of(request: Request) -> Viewer:
    """The studies whose images and findings a client may read."""
    return viewer_of(request, Scope.DICOM_READ)


def touched(request: Request) -> Touched:
    """Where a route notes whose data it had to do with, for the audit log."""
    return request_scope(request.scope).touched
