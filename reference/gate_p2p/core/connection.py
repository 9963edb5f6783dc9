"""One control stream, without any I/O.

**Mutate, handle the events, flush, re-arm the one timer:** call a method; look at the events that it
returned; write what `data_to_send()` gives; wait for bytes or for `next_deadline()`, whichever is first; when
`finished`, finish the stream and close the connection with `close_code`.

Bytes of the peer never raise: its faults become a `Terminated` event. Misuse of a command by the caller
raises `LocalProtocolError` and changes nothing. Time is whatever number of seconds is passed as `now`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite

from . import answers, forms
from . import messages as m
from .answers import Policy
from .capabilities import DNS_CHALLENGE, INFERENCE
from .errors import CloseCode, FailureCode, LocalProtocolError, MissingCapabilityError
from .events import Event
from .limits import Limits
from .receiver import ENDING, OPEN, Receiver
from .states import Action, State, Stimulus


class Connection(Receiver):
    """The protocol of one control stream, for either role. Made by `dialer` or `acceptor`."""

    @classmethod
    def dialer(
        cls,
        *,
        node_id: str,
        capabilities: Iterable[str],
        now: float,
        limits: Limits | None = None,
        policy: Policy | None = None,
    ) -> Connection:
        """The side that opened the stream. Its Handshake is in `data_to_send()` at once (HS-01).

        `node_id` is our own id, 64 lowercase hexadecimal characters (HS-04).
        """
        connection = cls(
            State.AWAITING_RESPONSE,
            node_id=node_id,
            capabilities=capabilities,
            now=now,
            limits=limits,
            policy=policy,
        )
        connection._send_handshake(now)
        return connection

    @classmethod
    def acceptor(
        cls,
        *,
        node_id: str,
        capabilities: Iterable[str],
        now: float,
        limits: Limits | None = None,
        policy: Policy | None = None,
        admit: bool = True,
    ) -> Connection:
        """The side that accepted the stream. With `admit=False` it answers the Handshake with a refusal.

        Whom to admit is decided by the transport's identity, which is known before the first byte (HS-05).
        """
        connection = cls(
            State.AWAITING_HANDSHAKE,
            node_id=node_id,
            capabilities=capabilities,
            now=now,
            limits=limits,
            policy=policy,
            admit=admit,
        )
        connection._deadline = now + connection._limits.accept_timeout
        return connection

    # -- What the connection holds -------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many requests of the peer await our answer."""
        return len(self._in_flight)

    @property
    def pending(self) -> int:
        """How many of our requests await the peer's answer."""
        return len(self._pending)

    @property
    def unfinished(self) -> int:
        """How many bytes are held of a frame of the peer that is not complete (LM-03); 0 after the end."""
        return self._frames.unfinished

    # -- Commands ------------------------------------------------------------------------------

    def request_dns_challenge_create(
        self, domain: str, txt_value: str, now: float, timeout: float | None = None
    ) -> str:
        """Ask for the TXT record `_acme-challenge.<domain>` with `txt_value`; returns the request id.

        Raises `MissingCapabilityError` (DC-14), `LocalProtocolError` for a bad form or before the handshake.
        """
        request = m.DnsChallengeCreate(request_id=self._pending.next_id(), domain=domain, txt_value=txt_value)
        return self._request(request, now, timeout, capability=DNS_CHALLENGE)

    def request_dns_challenge_cleanup(
        self, domain: str, now: float, txt_value: str | None = None, timeout: float | None = None
    ) -> str:
        """Ask to remove `txt_value`, or all that we created under `domain` (DC-11); returns the request id.

        A 0.1.0 peer ignores `txt_value`. Raises as `request_dns_challenge_create` does.
        """
        request = m.DnsChallengeCleanup(
            request_id=self._pending.next_id(), domain=domain, txt_value=txt_value
        )
        return self._request(request, now, timeout, capability=DNS_CHALLENGE)

    def request_sni_stream(self, domain: str, now: float, timeout: float | None = None) -> str:
        """Ask the peer to open an SNI-proxy stream for `domain` (ST-01); returns the request id."""
        request = m.RequestSniStream(request_id=self._pending.next_id(), domain=domain)
        return self._request(request, now, timeout)

    def request_inference_stream(self, now: float, timeout: float | None = None) -> str:
        """Ask the peer to expect an inference stream (ST-02); returns the request id.

        Raises `MissingCapabilityError` (ST-08).
        """
        request = m.RequestInferenceStream(request_id=self._pending.next_id())
        return self._request(request, now, timeout, capability=INFERENCE)

    def request_domain_registration(
        self, node_addr: m.NodeAddr, now: float, timeout: float | None = None
    ) -> str:
        """Ask the relay for a domain name that leads to us (DR-01); returns the request id."""
        request = m.DomainRegistrationRequest(request_id=self._pending.next_id(), node_addr=node_addr)
        return self._request(request, now, timeout)

    def cancel_request(self, request_id: str) -> None:
        """Wait no more for the answer to a request of ours, which is ignored when it comes (RQ-06).

        The peer is not told, and may have carried it out; an id that is not pending is no error.
        """
        if request_id in self._pending:
            self._wait_no_more(request_id)

    def answer_success(self, request_id: str, now: float, *, domain: str | None = None) -> None:
        """Answer a request of the peer with success; `domain` for a DomainRegistrationRequest alone.

        Does nothing once the conversation is over for good; raises `LocalProtocolError` for an id that is not
        in flight.
        """
        self._answer(request_id, now, lambda request: answers.success(request, domain))

    def answer_failure(
        self, request_id: str, now: float, *, error: str, code: str = FailureCode.FAILED
    ) -> None:
        """Answer a request of the peer with a failure, saying why (RQ-07, RQ-08).

        Otherwise as `answer_success`."""
        error = error[: self._limits.max_error_text]
        self._answer(request_id, now, lambda request: answers.failure(type(request), request_id, code, error))

    def ping(self, now: float) -> int:
        """Send a Ping; returns its id. Raises `LocalProtocolError` before the handshake and after the end."""
        self._require_established("ping")
        ping_id = self._liveness.next_ping(self._advance(now))
        self._send(m.Ping(id=ping_id))
        return ping_id

    def renew_handshake(self, now: float, capabilities: Iterable[str] | None = None) -> None:
        """Send a later Handshake, with new `capabilities` where given (HS-12).

        Raises `LocalProtocolError` unless established, or while an earlier one awaits its response.
        """
        if self._row[Stimulus.RENEW].action is Action.REJECT:
            raise LocalProtocolError(f"cannot renew the handshake in state {self._state.name}")
        if capabilities is not None:
            self._handshake = self._own_handshake(capabilities)
        self._move(Stimulus.RENEW)
        self._send_handshake(self._advance(now))

    def close(self, now: float, code: CloseCode = CloseCode.DONE, reason: str = "closed here") -> list[Event]:
        """End the conversation from our side; what is pending fails."""
        self._advance(now)
        events: list[Event] = []
        self._end(Stimulus.CLOSE, code, reason, events)
        return events

    def _request(
        self, request: m.Request, now: float, timeout: float | None, capability: str | None = None
    ) -> str:
        self._require_established("send a request")
        if (problem := forms.request_problem(request)) is not None:
            raise LocalProtocolError(problem)
        if capability is not None and capability not in self.peer_capabilities:
            raise MissingCapabilityError(f"the peer does not advertise {capability}")
        if len(self._pending) >= self._limits.max_pending:
            raise LocalProtocolError(f"{len(self._pending)} requests are pending; wait for answers")
        wait = self._limits.request_timeout if timeout is None else timeout
        if not (isfinite(wait) and wait > 0):
            raise LocalProtocolError(f"timeout is {wait!r}; expected a positive number of seconds")
        self._send(request)
        self._pending.add(request, self._advance(now) + wait)
        return request.request_id

    def _answer(self, request_id: str, now: float, respond: Callable[[m.Request], m.Response]) -> None:
        self._advance(now)
        if self._state is State.CLOSED:
            return
        request = self._in_flight.get(request_id)
        if request is None:
            raise LocalProtocolError(f"no request with the id {request_id!r} is in flight")
        self._send(respond(request))
        del self._in_flight[request_id]
        if self._state is State.DRAINING and not self._in_flight:
            self._move(Stimulus.DRAINED)

    def _require_established(self, what: str) -> None:
        if self._state in ENDING:
            raise LocalProtocolError(f"cannot {what}: the conversation is over ({self.close_reason})")
        if self._state not in OPEN:
            raise LocalProtocolError(f"cannot {what} in state {self._state.name}; wait for Established")
