"""The service on fakes as a process (`app.server.fakes`): started, killed, started again."""

from benchmarks.service import FakeService as ServiceProcess

__all__ = ["ServiceProcess"]
