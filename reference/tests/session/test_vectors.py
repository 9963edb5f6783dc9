"""The session's data connections and its policy against the vectors of `spec/vectors`, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from gate_p2p.core import CloseCode
from gate_p2p.https.client_hello import ClientHello, HelloError
from gate_p2p.model_server import _passed_on
from gate_p2p.session.budget import FrameBudget
from gate_p2p.session.errors import InferenceError
from gate_p2p.session.inference import InferenceCall
from gate_p2p.session.inference_server import InferenceServer
from gate_p2p.session.policy import NamePolicy
from gate_p2p.session.sni_pool import SniStreamPool
from gate_p2p.transport import ConnectionLost, TransportError

from ..core.test_vectors import body_of, load
from ..https.test_client_hello import named
from .data_connections import DataConnection, data_connection
from .memory import ACCEPTOR, DIALER, run
from .sni_memory import ControlOf, connection_pair

INFERENCE = load("transcripts/inference.json")
OPEN_FOR = 1.0  # seconds for which a stream that stays open is watched
Events = list[dict[str, Any]]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


# -- READY


class WatchedPool(SniStreamPool):
    def __init__(self) -> None:
        super().__init__(ControlOf())
        self.events: Events = []

    def _offer(self, peer: Any, idle: Any) -> None:
        self.events.append({"idle": True})
        super()._offer(peer, idle)


async def relay_events(vector: dict[str, Any], size: int) -> Events:
    pool = WatchedPool()
    daemon, relay = connection_pair(DIALER, ACCEPTOR)
    serving = asyncio.create_task(pool.accepted(relay))
    with suppress(ConnectionLost):  # closed while we still write
        for piece in pieces(body_of(vector), size):
            await daemon.stream.write(piece)
            await asyncio.sleep(0.001)
        if vector.get("end") == "clean":
            await daemon.stream.finish()
        elif vector.get("end") == "reset":
            daemon.stream.reset(0)
    await asyncio.sleep(2.5)
    events = [*pool.events, *([] if daemon.end is None else [{"close": daemon.end}])]
    pool.close(CloseCode.SHUTTING_DOWN, "over")
    await asyncio.wait({serving})
    return events


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 64])
def test_a_relay_agrees_with_the_ready_vectors(size: int) -> None:
    for vector in load("ready/ready.json"):
        assert run(relay_events(vector, size)) == vector["events"], vector["id"]


# -- inference: what a responder makes of a request


async def serve(server: InferenceServer, connection: DataConnection) -> None:
    """As the session does it."""
    try:
        await server.accepted(connection)
    finally:
        connection.close(CloseCode.DONE)


async def responder(data: bytes, size: int) -> tuple[str, Any]:
    """The verdict, and the request where there is one."""
    server = InferenceServer(lambda peer_id: True, FrameBudget())
    ours, theirs = data_connection()
    serving = asyncio.create_task(serve(server, theirs))
    with suppress(ConnectionLost):
        for piece in pieces(data, size):
            await ours.stream.write(piece)
    asking = asyncio.create_task(server.handle.next())
    answering = asyncio.create_task(ours.stream.read())
    both: set[asyncio.Future[Any]] = {asking, answering}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED, timeout=OPEN_FOR)
    verdict: tuple[str, Any]
    if asking.done():
        request = asking.result()
        verdict = ("list_models" if request.lists_models else "completion"), request
        request.abandon()
    elif ours.closed is not None:
        assert ours.closed == (False, 1)
        verdict = "framing_violation", None
    else:
        frame = json.loads(answering.result()[4:])
        verdict = frame["error"]["type"], None
        assert frame["error"]["message"]
    ours.close(0)
    asking.cancel()
    answering.cancel()
    await asyncio.gather(asking, answering, serving, return_exceptions=True)
    return verdict


@pytest.mark.parametrize("size", [1, 7, 2**24])
def test_a_responder_agrees_with_the_request_vectors(size: int) -> None:
    for vector in load("inference/requests.json"):
        body = body_of(vector)
        if len(body) > 10_000 and size < 10_000:
            continue
        verdict, request = run(responder(len(body).to_bytes(4, "big") + body, size))
        assert verdict in vector.get("allowed", [vector["verdict"]]), vector["id"]
        if verdict == "completion":
            assert request.streamed == vector["stream"], vector["id"]
            if "passes_on" in vector:
                assert json.loads(_passed_on(request)) == vector["passes_on"], vector["id"]


# -- inference: what a requester makes of a response


async def requester_events(data: bytes, stream: bool, end: str | None, size: int) -> Events:
    """What the call finds; a violation as `{"violation": <close code>}`."""
    ours, theirs = data_connection()

    async def answer() -> None:
        while await theirs.stream.read():
            pass
        with suppress(TransportError):
            for piece in pieces(data, size):
                await theirs.stream.write(piece)
            while end == "reset" and theirs.stream.other.inbox:
                await theirs.stream._next_change()  # a reset would drop what was not read
            if end == "clean":
                await theirs.stream.finish()
            elif end == "reset":
                theirs.stream.reset(0)

    @asynccontextmanager
    async def connect(peer_id: str) -> AsyncIterator[DataConnection]:
        task = asyncio.create_task(answer())
        try:
            yield ours
        finally:
            task.cancel()

    events: Events = []
    call = InferenceCall(ours.remote_id, {"model": "tiny", "stream": stream}, connect)
    try:
        async with asyncio.timeout(OPEN_FOR), call:
            async for frame in call:
                events.append({"frame": frame})
        events.append({"complete": True})
    except TimeoutError:
        pass
    except InferenceError as error:
        assert ours.closed is not None
        if error.kind is not None:
            events.append({"failure": error.kind})
        else:
            events.append({"violation": ours.closed[1]} if ours.closed[1] else {"lost": True})
    except TransportError:
        events.append({"lost": True})
    return events


def with_codes(events: Events) -> Events:
    """A requester that closes tells FR-03 from the others, and no more."""
    codes = {"FR-03": 2}
    return [{"violation": codes.get(one["violation"], 1)} if "violation" in one else one for one in events]


@pytest.mark.parametrize("size", [1, 5, 64, 2**24])
def test_a_requester_agrees_with_the_response_vectors(size: int) -> None:
    for vector in load("inference/responses.json"):
        found = run(requester_events(body_of(vector), vector["stream"], vector.get("end"), size))
        assert found == with_codes(vector["events"]), vector["id"]


def sent_by(side: str, transcript: dict[str, Any]) -> bytes:
    return b"".join(bytes.fromhex(one.get("hex", "")) for one in transcript["frames"] if one["from"] == side)


@pytest.mark.parametrize("transcript", INFERENCE, ids=lambda one: str(one["id"]))
def test_both_sides_agree_with_the_inference_transcripts(transcript: dict[str, Any]) -> None:
    asked = sent_by("dialer", transcript)
    answers = [one for one in transcript["frames"] if one["from"] == "acceptor"]
    messages = [one["message"] for one in answers if "message" in one]
    if transcript["close"]["by"] == "dialer":
        verdict, request = run(responder(asked, 2**24))
        streamed = request is not None and request.streamed
        end = next((one["end"] for one in answers if "end" in one), None)
        found = run(requester_events(sent_by("acceptor", transcript), streamed, end, 2**24))
        assert [one["frame"] for one in found if "frame" in one] == [m for m in messages if "error" not in m]
        failures = [m["error"]["type"] for m in messages if "error" in m]
        assert [one["failure"] for one in found if "failure" in one] == failures
        assert verdict == "request_error" or failures != ["request_error"]
        assert ("violation" in found[-1]) == (transcript["close"]["code"] == 1)


async def to_the_end(end: DataConnection) -> None:
    with suppress(TransportError):
        while await end.stream.read():
            pass


async def close_of(transcript: dict[str, Any]) -> tuple[bool, int] | None:
    """How a responder closes that answers with the frames of the transcript."""
    server = InferenceServer(lambda peer_id: True, FrameBudget())
    ours, theirs = data_connection()
    serving = asyncio.create_task(serve(server, theirs))
    for step in transcript["frames"]:
        await asyncio.sleep(step.get("after", 0))
        if step["from"] == "acceptor" and "message" in step:
            await (await server.handle.next()).respond(step["message"])
        elif step["from"] == "dialer" and "end" in step:
            await ours.stream.finish()
        elif step["from"] == "dialer":
            await ours.stream.write(bytes.fromhex(step["hex"]))
    reading = asyncio.create_task(to_the_end(ours))
    await asyncio.sleep(transcript["close"].get("after", 0) + 0.1)
    reading.cancel()
    closed = ours.closed
    ours.close(0)
    await asyncio.gather(serving, return_exceptions=True)
    return closed


@pytest.mark.parametrize(
    "transcript",
    [one for one in INFERENCE if one["close"]["by"] == "acceptor"],
    ids=lambda one: str(one["id"]),
)
def test_a_responder_closes_as_the_transcripts_say(transcript: dict[str, Any]) -> None:
    assert run(close_of(transcript)) == (False, transcript["close"]["code"])


# -- SNI-proxy transcripts, from the relay's side


async def relay_of(transcript: dict[str, Any]) -> tuple[bytes, int | None]:
    """What the relay reads after READY, and with what the connection is closed."""
    pool = WatchedPool()
    daemon, relay = connection_pair(DIALER, ACCEPTOR)
    serving = asyncio.create_task(pool.accepted(relay))
    stream, read, close = None, b"", transcript["close"]
    for step in transcript["frames"]:
        await asyncio.sleep(step.get("after", 0) + 0.001)
        if step["from"] == "dialer":
            await (
                daemon.stream.write(bytes.fromhex(step["hex"])) if "hex" in step else daemon.stream.finish()
            )
            if stream is not None:
                read += await stream.read()
        elif "hex" in step:
            stream = stream or await pool.take(DIALER, "conformance.test")
            await stream.write(bytes.fromhex(step["hex"]))
            assert await daemon.stream.read() == bytes.fromhex(step["hex"])
        elif step["end"] == "reset":
            assert stream is not None
            stream.abort()
        else:
            assert stream is not None
            await stream.finish()
    ending = None if stream is None else asyncio.create_task(stream.aclose())
    await asyncio.sleep(close.get("after", 0) + (0.1 if close["by"] == "acceptor" else 0))
    if close["by"] == "dialer":
        assert daemon.end is None
        daemon.close(close["code"])
    end = daemon.end
    pool.close(CloseCode.SHUTTING_DOWN, "over")
    await asyncio.wait({serving, *([] if ending is None else [ending])})
    return read, end


@pytest.mark.parametrize("transcript", load("transcripts/sni-proxy.json"), ids=lambda one: str(one["id"]))
def test_a_relay_agrees_with_the_sni_proxy_transcripts(transcript: dict[str, Any]) -> None:
    if transcript["id"] == "sni-proxy.idle-for-long":
        return  # SP-26 allows it; this relay keeps idle streams
    read, end = run(relay_of(transcript))
    assert end == transcript["close"]["code"]
    if any(one["from"] == "acceptor" for one in transcript["frames"]):
        assert read == sent_by("dialer", transcript)[9:]


# -- names


class Registrar:
    """Gives the names of a vector, in its order."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        return self.names.pop(0)


def policy_of(vector: dict[str, Any]) -> NamePolicy:
    policy = NamePolicy(vector["suffix"], vector.get("granted"))
    registered = vector.get("registered", {})
    registrar = policy.recording(Registrar(list(registered)))
    for peer in registered.values():
        asyncio.run(registrar.register(peer, ()))
    for label, peer in vector.get("short_labels", {}).items():
        assert policy.may_act_for(peer, f"{label}.{vector['suffix']}")
    return policy


def test_the_policy_agrees_about_who_may_act_for_a_name() -> None:
    for vector in load("authorisation/acting.json"):
        found = policy_of(vector).may_act_for(vector["peer"], vector["domain"])
        assert found == vector["may_act"], vector["id"]


def test_the_policy_agrees_about_where_a_name_leads() -> None:
    for vector in load("authorisation/routing.json"):
        try:
            name = ClientHello().feed(named(vector["server_name"].encode()))
            assert name is not None
            found = policy_of(vector).peer_of(name, vector["connected"])
        except HelloError:
            found = None
        assert found == vector["leads_to"], vector["id"]
