"""The only table of our requests that await a response."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from .messages import DnsChallengeCleanup, DnsChallengeCreate, DomainRegistrationRequest, Request


class PendingRequests:
    """Requests by id, each with a deadline. Ids count up, so none is used twice on a stream (RQ-11)."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}
        # answered requests stay in the heap until they are on top or outnumber the rest: removal is linear
        self._deadlines: list[tuple[float, str]] = []
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._requests

    def next_id(self) -> str:
        """A request id that this stream has not seen."""
        self._last_id += 1
        return f"r{self._last_id}"

    def add(self, request: Request, deadline: float) -> None:
        """Enter a request; `deadline` is in seconds on the caller's clock."""
        self._requests[request.request_id] = request
        heappush(self._deadlines, (deadline, request.request_id))

    def get(self, request_id: str) -> Request | None:
        """The request with that id, while it is pending."""
        return self._requests.get(request_id)

    def resolve(self, request_id: str) -> None:
        """Take out a request that has been answered."""
        del self._requests[request_id]
        if len(self._deadlines) > 2 * len(self._requests) + 64:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._requests]
            heapify(self._deadlines)

    def next_deadline(self) -> float | None:
        """When the first request expires, or None."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][1] not in self._requests:
            heappop(deadlines)
        return deadlines[0][0] if deadlines else None

    def patience(self) -> float | None:
        """The latest deadline of the requests for which a peer may rightly be silent, or None (LV-09).

        Those wait for DNS, and a 0.1.0 peer answers nothing else meanwhile.
        """
        slow = (DnsChallengeCreate, DnsChallengeCleanup, DomainRegistrationRequest)
        return max(
            (until for until, name in self._deadlines if isinstance(self._requests.get(name), slow)),
            default=None,
        )

    def expire(self, now: float) -> list[Request]:
        """Take out and return the requests whose deadline has come, earliest first."""
        expired = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            expired.append(self._requests.pop(heappop(self._deadlines)[1]))
        return expired

    def clear(self) -> list[Request]:
        """Take out and return all requests, oldest first."""
        requests = list(self._requests.values())
        self._requests.clear()
        self._deadlines.clear()
        return requests
