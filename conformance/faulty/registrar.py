"""The correct node as a relay that registers names: one of the permitted choices, and the base of faults."""

from __future__ import annotations

from . import forms
from .node import Node
from .protocol import Message
from .world import DOMAIN


class Registrar(Node):
    """Registers for every peer that asks for itself the name of its label."""

    address = "192.0.2.1"

    def label_of(self, octets: bytes) -> str:
        """The label that a node with this id gets (DR-08)."""
        return forms.z_base_32(octets)

    def register(self, message: Message) -> Message:
        name = f"{self.label_of(bytes.fromhex(self.peer_id))}.{DOMAIN}"
        self.publish(name)
        return {**self.success(message), "domain": name}

    def publish(self, name: str) -> None:
        """DR-03: before the answer."""
        self.world.hosts[name] = self.address

    def may_act_for(self, domain: str) -> bool:
        label, _, rest = self.canonical(domain).partition(".")
        return super().may_act_for(domain) or (rest == DOMAIN and self.is_own_label(label))

    def is_own_label(self, label: str) -> bool:
        """DR-02."""
        return label in (forms.z_base_32(bytes.fromhex(self.peer_id)), self.peer_id[:32])
