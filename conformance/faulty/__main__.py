"""`python -m faulty NAME`: one of the nodes as a process; `--list` shows them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys

from .nulls import NULLS
from .registry import CHOICES, FAULTS
from .targets import names
from .world import World


def listing(as_json: bool) -> str:
    """Every node with what it does, as text or JSON."""
    rows = [
        {"name": item.name, "breaks": item.breaks, "roles": item.roles, "over": item.over}
        | {"description": item.description}
        for item in FAULTS.values()
    ]
    others = [("choice", item.name, item.description) for item in CHOICES.values()]
    others += [("null", name, (node.__doc__ or "").strip()) for name, node in NULLS.items()]
    if as_json:
        listed = [{"kind": kind, "name": name, "description": text} for kind, name, text in others]
        return json.dumps([{"kind": "fault", **row} for row in rows] + listed, indent=1)
    lines = [f"{row['name']:34} {'/'.join(row['breaks']):30} {row['description']}" for row in rows]
    return "\n".join(lines + [f"{name:34} {kind:30} {text}" for kind, name, text in others])


def main() -> int:
    """Exit status: 0 over, 1 crashed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m faulty", description=__doc__)
    parser.add_argument("name", nargs="?", help="correct, or the name of a fault, a choice or a null node")
    parser.add_argument("--list", action="store_true", help="show every node")
    parser.add_argument("--json", action="store_true", help="with --list: as JSON")
    given = os.environ.get("GATE_ROLE", "acceptor")
    parser.add_argument("--role", choices=("acceptor", "dialer"), default=given)
    parser.add_argument("--exec", action="store_true", help="control bytes on standard input and output")
    parser.add_argument("--iroh", action="store_true", help="over Iroh; prints the address to dial")
    parser.add_argument("--dial", metavar="ADDRESS", help="with --iroh: dial this address once")
    parser.add_argument("--dns", metavar="HOST:PORT", help="serve the TXT records there, over UDP")
    parser.add_argument("--listen", default="127.0.0.1:0", help="with --iroh: the local address")
    options = parser.parse_args()
    if options.list:
        print(listing(options.json))
        return 0
    if options.name not in names() or options.exec == options.iroh:
        parser.error("needs the name of a node (see --list) and one of --exec and --iroh")
    from gate_p2p.iroh import NodeAddress

    from .nameserver import NameServer
    from .runners import run_exec, run_iroh

    world = World()
    with NameServer(world, options.dns) if options.dns else contextlib.nullcontext():
        if options.exec:
            asyncio.run(run_exec(options.name, options.role, world))
        else:
            address = NodeAddress.parse(options.dial) if options.dial else None
            asyncio.run(run_iroh(options.name, address, options.listen, world))
    return 0


if __name__ == "__main__":
    sys.exit(main())
