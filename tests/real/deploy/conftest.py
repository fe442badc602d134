"""`deploy` as a command, in front of the host's API on loopback."""

from tests.support.loopback_deploy import command, endpoints_api, first_endpoint

__all__ = ["command", "endpoints_api", "first_endpoint"]
