"""From a target string to a target."""

from __future__ import annotations

from gate_conformance.targets.base import Target, TargetOptions
from gate_conformance.verdicts import UsageError

FORMS = "iroh:<64 hex id>@<ip:port>, listen[:<ip:port>], exec:COMMAND or py:module:factory"


def parse_target(text: str, options: TargetOptions) -> Target:
    """The target that ``text`` names. Raises UsageError that says what is expected."""
    kind, _, rest = text.partition(":")
    if kind in ("iroh", "listen"):
        own_role = "acceptor" if kind == "iroh" else "dialer"
        if options.role not in (None, own_role):
            hint = "for a dialer use listen" if kind == "iroh" else "for an acceptor use iroh:<address>"
            raise UsageError(f"a {kind} target is always judged as {own_role}: {hint}")
    if options.dialer is not None and kind != "listen":
        raise UsageError("--dialer belongs to the target listen")
    if kind == "iroh":
        from gate_conformance.targets.iroh import IrohTarget

        return IrohTarget(text, rest, options)
    if kind == "listen":
        from gate_conformance.targets.listen import DialerTarget, ListenTarget

        if options.dialer is not None:
            return DialerTarget(text, rest, options)
        return ListenTarget(text, rest, options)
    if kind == "exec":
        from gate_conformance.targets.exec import ExecTarget

        return ExecTarget(text, rest, options)
    if kind == "py":
        from gate_conformance.targets.memory import MemoryTarget, load_factory

        return MemoryTarget(text, load_factory(rest), options.role or "acceptor", options.peer_id)
    raise UsageError(f"{text!r} is no target: expected {FORMS}")
