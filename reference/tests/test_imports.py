"""Which package imports what: the arrows of the architecture, read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import gate_p2p
import gate_p2p.dns
import gate_p2p.session

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"gate_p2p": ROOT / "reference", "gate_conformance": ROOT / "conformance"}

# Nothing in here opens, waits, asks the time or draws a random number.
PURE = {
    *("__future__", "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "enum", "functools"),
    *(
        "heapq",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "msgspec",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
    ),
}


def inside(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@dataclass(frozen=True)
class Arrow:
    """In the modules that it `binds`, every imported name has to be `allowed`."""

    text: str
    binds: Callable[[str], bool]
    allowed: Callable[[str], bool]


SHARED = ("gate_p2p.transport", "gate_p2p.address", "gate_p2p.text", "gate_p2p.core.errors")

ARROWS = [
    Arrow(
        "the core imports pure modules of the standard library, msgspec and itself",
        binds=lambda module: inside(module, "gate_p2p.core"),
        allowed=lambda name: name.partition(".")[0] in PURE or inside(name, "gate_p2p.core"),
    ),
    Arrow(
        "only gate_p2p.iroh imports iroh",
        binds=lambda module: not inside(module, "gate_p2p.iroh"),
        allowed=lambda name: not inside(name, "iroh", "iroh_ffi"),
    ),
    Arrow(
        "the Iroh adapter knows bytes and no messages: of the rest it imports transport and address alone",
        binds=lambda module: inside(module, "gate_p2p.iroh"),
        allowed=lambda name: (
            not inside(name, "gate_p2p")
            or inside(name, "gate_p2p.iroh", "gate_p2p.transport", "gate_p2p.address")
        ),
    ),
    Arrow(
        "what session and adapters share knows of the core the errors alone, and of those two nothing",
        binds=lambda module: inside(module, "gate_p2p.transport", "gate_p2p.address", "gate_p2p.text"),
        allowed=lambda name: not inside(name, "gate_p2p") or inside(name, *SHARED),
    ),
    Arrow(
        "the session is written against gate_p2p.transport; session.endpoint alone names an adapter",
        binds=lambda module: (
            inside(module, "gate_p2p.session", "gate_p2p.dns") and module != "gate_p2p.session.endpoint"
        ),
        allowed=lambda name: not inside(name, "gate_p2p.iroh"),
    ),
    Arrow(
        "the session imports nothing of the command line",
        binds=lambda module: inside(module, "gate_p2p.session", "gate_p2p.dns"),
        allowed=lambda name: not inside(name, "gate_p2p.cli", "click", "rich"),
    ),
    Arrow(
        "the reference never imports the suite",
        binds=lambda module: inside(module, "gate_p2p"),
        allowed=lambda name: not inside(name, "gate_conformance", "faulty"),
    ),
    Arrow(
        "the suite imports nothing of the reference but gate_p2p.iroh",
        binds=lambda module: inside(module, "gate_conformance"),
        allowed=lambda name: not inside(name, "gate_p2p") or inside(name, "gate_p2p.iroh"),
    ),
]


def imported(source: str, package: str) -> Iterator[str]:
    """Every dotted name that a module imports, at any depth; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parent = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*parent, *([module] if module else [])])
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def violations(module: str, package: str, source: str) -> list[str]:
    """What the module breaks, a line for each name."""
    return [
        f"{module} imports {name}: {arrow.text}"
        for arrow in ARROWS
        if arrow.binds(module)
        for name in imported(source, package)
        if not arrow.allowed(name)
    ]


def modules() -> Iterator[tuple[str, str, Path]]:
    """Name, package and file of every module of the two packages."""
    for top, root in SOURCES.items():
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[-1] == "__init__":
                yield ".".join(parts[:-1]), ".".join(parts[:-1]), path
            else:
                yield ".".join(parts), ".".join(parts[:-1]), path


def test_every_import_follows_the_arrows() -> None:
    found = [
        line
        for module, package, path in modules()
        for line in violations(module, package, path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_modules_of_every_part_are_read() -> None:
    names = {module for module, _, _ in modules()}
    assert {"gate_p2p.core.connection", "gate_p2p.iroh", "gate_conformance", "gate_conformance.case"} <= names


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gate_p2p.core.framing", "import asyncio"),
        ("gate_p2p.core.framing", "import time"),
        ("gate_p2p.core.framing", "from random import random"),
        ("gate_p2p.core.framing", "def f():\n    import socket"),
        ("gate_p2p.core.framing", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os.path"),
        ("gate_p2p.core.framing", "from ..iroh import Endpoint"),
        ("gate_p2p.core.framing", "from .. import session"),
        ("gate_p2p.core.framing", "import importlib"),
        ("gate_p2p.core", "from ..session import Session"),
        ("gate_p2p.session.link", "import iroh"),
        ("gate_p2p.session.link", "from ..cli import main"),
        ("gate_p2p.session.link", "import importlib\nimportlib.import_module('iroh')"),
        ("gate_p2p.session.link", "from gate_p2p.iroh import TransportError"),
        ("gate_p2p.session.session", "def f():\n    from .. import iroh"),
        ("gate_p2p.dns.memory", "from gate_p2p.iroh import Endpoint"),
        ("gate_p2p.transport", "from gate_p2p.session.link import ControlLink"),
        ("gate_p2p.transport", "from gate_p2p.iroh import Endpoint"),
        ("gate_p2p.address", "from gate_p2p.core import Connection"),
        ("gate_p2p.cli.relay", "from iroh.iroh_ffi import Endpoint"),
        ("gate_p2p.cli.relay", "__import__('gate_conformance.codec')"),
        ("gate_p2p.cli.relay", "from gate_conformance import codec"),
        ("gate_p2p.iroh.endpoint", "from gate_p2p.core.messages import Ping"),
        ("gate_p2p.iroh.endpoint", "from ..core import Connection"),
        ("gate_p2p.iroh.endpoint", "from gate_p2p.session.transport import ConnectionTransport"),
        ("gate_conformance.codec", "from gate_p2p.core import encode"),
        ("gate_conformance.codec", "import gate_p2p.session"),
        ("gate_conformance.targets.iroh", "import iroh"),
        ("gate_conformance.targets.iroh", "from gate_p2p import core"),
    ],
)
def test_a_violation_is_found(module: str, source: str) -> None:
    package = module if module == "gate_p2p.core" else module.rpartition(".")[0]
    assert violations(module, package, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gate_p2p.core.framing", "from struct import Struct\nimport msgspec\nfrom .errors import CloseCode"),
        ("gate_p2p.session.link", "import asyncio\nfrom gate_p2p.core import Connection"),
        ("gate_p2p.iroh.iroh1", "import iroh\nfrom ..transport import BindError"),
        ("gate_p2p.session.endpoint", "def f():\n    from gate_p2p import iroh"),
        ("gate_p2p.transport", "from gate_p2p.core.errors import GateError"),
        ("gate_p2p.cli.relay", "from ..iroh import Endpoint"),
        ("gate_conformance.targets.iroh", "from gate_p2p.iroh import Endpoint\nfrom ..codec import encode"),
    ],
)
def test_what_follows_the_arrows_is_let_through(module: str, source: str) -> None:
    assert violations(module, module.rpartition(".")[0], source) == []


def test_importing_the_core_loads_no_event_loop_and_no_iroh() -> None:
    unwanted = {"asyncio", "iroh", "socket", "random"}
    program = f"import sys, gate_p2p.core; print(*sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_package_gives_the_names_of_the_crate_when_they_are_asked_for() -> None:
    assert gate_p2p.P2PSession is gate_p2p.session.P2PSession
    assert gate_p2p.DnsChallengeHandler is gate_p2p.dns.DnsChallengeHandler
    for name in gate_p2p.__all__:
        assert getattr(gate_p2p, name)
    with pytest.raises(AttributeError, match="no attribute 'P2PSessions'"):
        _ = gate_p2p.P2PSessions
