"""What one generation of iroh has to give. All else in the package is written against these protocols.

A generation is a module with `bind`; the one that matches the installed package is loaded by `load()`.
Its raw calls are **never cancelled** by their callers: uniffi loses what a cancelled call had already got.
Errors leave it translated into those of `gate_p2p.transport`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Protocol, cast

from gate_p2p.iroh.call import Calls, Done
from gate_p2p.transport import BindError, CloseInfo

_MODULES = {"1.": "gate_p2p.iroh.iroh1", "0.35.": "gate_p2p.iroh.iroh035"}


class RawStream(Protocol):
    @property
    def write_size(self) -> int:
        """Bytes that one call of `write` should have at most, so that it does not hold up the event loop."""
        ...

    def read(self, max_bytes: int, done: Done[bytes], under_way: Calls) -> None:
        """Start a read; `done` may be called before this returns."""
        ...

    def write(self, data: bytes, done: Done[None], under_way: Calls) -> None:
        """Start to write all of `data`; `done` may be called before this returns."""
        ...

    async def finish(self) -> None: ...
    async def stopped(self) -> int | None:
        """None when the peer has everything, finish included; else the code it stopped with."""
        ...

    async def probe(self) -> None:
        """Raise as `write` would. Beside `stopped`, which keeps iroh 0.35 from writing while it waits."""
        ...

    async def reset(self, code: int) -> None: ...
    async def stop(self, code: int) -> None: ...


class RawConnection(Protocol):
    @property
    def remote_id(self) -> str: ...
    @property
    def alpn(self) -> str: ...
    async def open_stream(self) -> RawStream: ...
    async def accept_stream(self) -> RawStream: ...
    async def refuse_unidirectional(self, code: int) -> None:
        """Stop every unidirectional stream of the peer; ends, with an error, when the connection does."""
        ...

    def close(self, code: int, reason: bytes) -> None: ...
    async def closed(self) -> CloseInfo: ...


class RawIncoming(Protocol):
    async def validated(self) -> bool:
        """Whether the peer is known to receive at the address that it sends from; else `retry` finds out."""
        ...

    async def establish(self) -> RawConnection: ...
    async def refuse(self) -> None: ...
    async def retry(self) -> None:
        """Have the peer come again with a proof of its address; until then nothing is kept of it."""
        ...


class RawEndpoint(Protocol):
    @property
    def node_id(self) -> str: ...
    @property
    def socket_addresses(self) -> tuple[str, ...]: ...
    @property
    def no_answer(self) -> str:
        """What to look at when a peer does not answer."""
        ...

    async def connect(self, node_id: str, socket_addresses: Sequence[str], alpn: str) -> RawConnection: ...
    async def accept_next(self) -> RawIncoming | None: ...
    async def close(self) -> None: ...


class Generation(Protocol):
    def node_id_of(self, secret_key: bytes) -> str:
        """The id, 64 lowercase hex, that belongs to 32 bytes of secret key."""
        ...

    async def bind(
        self,
        secret_key: bytes | None,
        socket_addresses: Sequence[str],
        alpns: Sequence[str],
        *,
        fast_io: bool,
    ) -> RawEndpoint:
        """Bind exactly these socket addresses, with no relay and no discovery. Raises BindError."""
        ...


def load() -> Generation:
    """The adapter of the installed iroh; raises BindError when there is none."""
    try:
        version = metadata.version("iroh")
    except metadata.PackageNotFoundError:
        raise BindError("iroh is not installed: pip install 'gate-p2p[iroh]'") from None
    for prefix, module in _MODULES.items():
        if version.startswith(prefix):
            return cast("Generation", import_module(module))
    raise BindError(f"iroh {version} is not supported here: install iroh>=1.2,<2, or iroh==0.35.0")
