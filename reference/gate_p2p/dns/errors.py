"""Why a DNS change failed. The texts go to the peer that asked: no secrets, nothing of the service (SC-02).

What the service said in detail stands in the log, under the logger `gate_p2p.dns`.
"""

from __future__ import annotations

from gate_p2p.core import FailureCode
from gate_p2p.dns.handler import DnsChallengeError


class TooManyValues(DnsChallengeError):
    """There are as many values under the name as it may have (DC-16)."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"there are {count} values under this name already: clean up first", FailureCode.QUOTA
        )


class TooManyRecords(DnsChallengeError):
    """There are as many records of all peers together as this node keeps."""

    def __init__(self) -> None:
        super().__init__("this node keeps no more DNS records: try again later", FailureCode.QUOTA)


class TooManyNames(DnsChallengeError):
    """There are as many registered names of all peers together as this node gives."""

    def __init__(self) -> None:
        super().__init__("this node has no name left", FailureCode.QUOTA)


class DnsRefused(DnsChallengeError):
    """The DNS service said no, and has changed nothing: key, token, zone or policy is wrong."""

    def __init__(self, text: str = "the DNS service of this node refused the change") -> None:
        super().__init__(text)


class DnsUnavailable(DnsChallengeError):
    """The DNS service gave no usable answer; whether it made the change is not known."""

    def __init__(self, text: str = "the DNS service of this node does not answer") -> None:
        super().__init__(text)


class DnsNotVisible(DnsChallengeError):
    """The change was made, but not every authoritative server shows it in time (DC-13)."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"not every authoritative DNS server shows the record after {seconds:g} s", FailureCode.TIMED_OUT
        )
