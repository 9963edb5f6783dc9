"""What iroh 0.35 alone does, and what is said of it where it is not installed."""

from __future__ import annotations

import asyncio
import threading
from importlib import metadata
from typing import Any

import pytest

from gate_p2p.iroh import ALPN_CONTROL, BindError, Endpoint, generation
from gate_p2p.iroh import endpoint as endpoint_module
from gate_p2p.iroh.generation import load

from .conftest import Bind, Connect

pytestmark = pytest.mark.iroh

here = pytest.mark.skipif(not metadata.version("iroh").startswith("0.35."), reason="iroh 0.35 is not here")


@pytest.mark.parametrize(
    ("version", "module"), [("1.2.0", "iroh1"), ("1.10.3", "iroh1"), ("0.35.0", "iroh035")]
)
def test_the_installed_version_chooses_the_adapter(
    monkeypatch: pytest.MonkeyPatch, version: str, module: str
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: version)
    monkeypatch.setattr(generation, "import_module", lambda name: name)
    chosen: Any = load()
    assert chosen == f"gate_p2p.iroh.{module}"


@pytest.mark.parametrize("version", ["0.0.5", "0.34.0", "0.3", "2.0.0", "10.1.0"])
def test_no_other_version_is_used(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: version)
    with pytest.raises(BindError, match=rf"iroh {version} is not supported.*>=1\.2,<2.*==0\.35\.0"):
        load()


@pytest.mark.iroh1(reason="is about what a 1.x dialer says")
async def test_a_dialer_of_1_x_says_that_the_acceptor_may_speak_0_35(bind: Bind) -> None:
    endpoint = await bind()
    assert "Iroh 0.35" in endpoint._raw.no_answer
    assert "iroh==0.35.0" in endpoint._raw.no_answer


@here
async def test_newcomers_past_the_limit_are_closed(bind: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_HALF_OPEN", 1)
    dialer, acceptor = await bind(), await bind()
    waiting = asyncio.create_task(acceptor.accept())
    await dialer.dial(acceptor.address, ALPN_CONTROL)
    assert await waiting is not None
    await dialer.dial(acceptor.address, ALPN_CONTROL)  # waits to be accepted
    while acceptor._ready.empty():  # noqa: ASYNC110  there is no event for what is not taken yet
        await asyncio.sleep(0)
    refused = await (await dialer.dial(acceptor.address, ALPN_CONTROL)).wait_closed()
    assert (refused.code, refused.by_peer) == (5, True)
    assert await acceptor.accept() is not None


@here
async def test_connections_that_nobody_takes_are_bounded(bind: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    from gate_p2p.iroh import iroh035

    monkeypatch.setattr(iroh035, "MAX_WAITING", 2)
    dialer, acceptor = await bind(), await bind()  # accept() is never called
    kept = [await dialer.dial(acceptor.address, ALPN_CONTROL) for _ in range(2)]
    refused = await (await dialer.dial(acceptor.address, ALPN_CONTROL)).wait_closed()
    assert (refused.code, refused.by_peer) == (5, True)
    assert not any(connection.closed for connection in kept)


@here
async def test_two_loops_at_once_are_refused_and_one_after_another_is_served(connect: Connect) -> None:
    await connect()
    found: list[Exception] = []

    def elsewhere() -> None:
        try:
            asyncio.run(use_one())
        except BindError as error:
            found.append(error)

    async def use_one() -> None:
        await (await Endpoint.bind()).aclose()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert "one event loop" in str(found)
    # the first loop is served on
    await connect()


@here
def test_loops_one_after_another() -> None:
    async def use_two() -> None:
        dialer, acceptor = await Endpoint.bind(), await Endpoint.bind()
        accepting = asyncio.create_task(acceptor.accept())
        await dialer.dial(acceptor.address, ALPN_CONTROL)
        assert await accepting is not None
        await dialer.aclose()
        await acceptor.aclose()

    for _ in range(3):
        asyncio.run(use_two())
