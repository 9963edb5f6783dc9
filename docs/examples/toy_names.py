"""Toy judges of names, to be replaced by your own."""

from __future__ import annotations

import re
from typing import Any

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN = re.compile(rf"(?=.{{1,237}}\Z)({LABEL}\.)+(?![0-9]+\Z){LABEL}")  # DC-03


def id_from_label(label: str) -> str | None:
    """What a node label says of the id: 64 or 32 hexadecimal characters; None when it names no node."""
    label, alphabet = label.lower() if label.isascii() else "", "ybndrfg8ejkmcpqxot1uwisza345h769"
    if len(label) == 32 and set(label) <= set("0123456789abcdef"):
        return label
    bits = "".join(f"{alphabet.index(one):05b}" for one in label if one in alphabet)
    return f"{int(bits[:256], 2):064x}" if len(label) == 52 and bits[256:] == "0000" else None


def may_act(rules: dict[str, Any], peer: str, domain: str) -> bool:
    """Whether a node may act for a name: it is its own, registered to it or given to it."""
    name = domain.lower()
    label, _, above = name.partition(".")
    if above == rules["suffix"].lower() and (node := id_from_label(label)):
        return peer.startswith(node) and rules.get("short_labels", {}).get(node, peer) == peer
    given = {one.lower() for one in rules.get("granted", {}).get(peer, [])}
    return name in given or (name, peer) in (
        (one.lower(), to) for one, to in rules.get("registered", {}).items()
    )


def leads_to(rules: dict[str, Any]) -> str | None:
    """The node to which a visitor is led: that of the name, else of the name without its first label."""
    name = rules["server_name"].removesuffix(".")
    if not DOMAIN.fullmatch(name):
        return None
    spelt = [node for label in name.split(".") if len(node := id_from_label(label) or "") == 64]
    known = [*rules["connected"], *rules.get("granted", {}), *spelt]
    known += [*rules.get("registered", {}).values(), *rules.get("short_labels", {}).values()]
    names = (name, name.partition(".")[2])
    return next((node for one in names for node in known if may_act(rules, node, one)), None)


def agrees(vector: dict[str, Any]) -> bool:
    """Whether they say what the vector says."""
    if "server_name" in vector:
        return leads_to(vector) == vector["leads_to"]
    if "domain" in vector:
        return may_act(vector, vector["peer"], vector["domain"]) == bool(vector["may_act"])
    if "label" in vector:
        return bool(id_from_label(vector["label"]) == vector["names"])
    node_id = vector["node_id"]
    return id_from_label(vector["z_base_32"]) == node_id and id_from_label(vector["hex"]) == node_id[:32]
