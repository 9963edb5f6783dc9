"""Kept for importers of the adapter alone: addresses are no matter of Iroh, see `gate_p2p.address`."""

from __future__ import annotations

from gate_p2p.address import NodeAddress, check_socket_address

__all__ = ["NodeAddress", "check_socket_address"]
