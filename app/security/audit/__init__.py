"""The audit log: who did what with whose data, from where, in a chain of events that cannot be changed unnoticed."""

from app.security.audit.chain import append, audit_file
from app.security.audit.events import KINDS, Kind
from app.security.audit.lines import GENESIS, AuditBroken, Head
from app.security.audit.log import AuditLog
from app.security.audit.verification import Verified, records, verify

__all__ = [
    "GENESIS",
    "KINDS",
    "AuditBroken",
    "AuditLog",
    "Head",
    "Kind",
    "Verified",
    "append",
    "audit_file",
    "records",
    "verify",
]
