from __future__ import annotations

from gate_p2p.core import RequestInferenceStream
from gate_p2p.core.pending import PendingRequests


def request(table: PendingRequests) -> RequestInferenceStream:
    return RequestInferenceStream(request_id=table.next_id())


def test_ids_are_never_used_twice() -> None:
    table = PendingRequests()
    assert len({table.next_id() for _ in range(100)}) == 100


def test_requests_expire_at_their_deadline_and_not_before() -> None:
    table = PendingRequests()
    late, early = request(table), request(table)
    table.add(late, 20.0)
    table.add(early, 10.0)
    assert table.next_deadline() == 10.0
    assert table.expire(9.9) == []
    assert table.expire(10.0) == [early]
    assert late.request_id in table
    assert table.expire(30.0) == [late]
    assert table.next_deadline() is None


def test_an_answered_request_has_no_deadline_any_more() -> None:
    table = PendingRequests()
    answered = request(table)
    table.add(answered, 5.0)
    assert table.get(answered.request_id) is answered
    table.resolve(answered.request_id)
    assert table.next_deadline() is None
    assert len(table) == 0


def test_the_deadlines_of_answered_requests_do_not_pile_up() -> None:
    table = PendingRequests()
    keep = request(table)
    table.add(keep, 1.0)
    for number in range(10_000):
        one = request(table)
        table.add(one, 1000.0 + number)
        table.resolve(one.request_id)
    assert len(table._deadlines) < 200
    assert table.next_deadline() == 1.0


def test_clear_gives_what_was_pending_oldest_first() -> None:
    table = PendingRequests()
    requests = [request(table) for _ in range(3)]
    for number, one in enumerate(requests):
        table.add(one, -float(number))
    assert table.clear() == requests
    assert table.next_deadline() is None
