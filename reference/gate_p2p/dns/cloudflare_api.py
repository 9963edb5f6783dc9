"""Calls of Cloudflare's HTTP API: errors, pages, rate limits, time-outs (extra `dns`)."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from gate_p2p.address import is_this_machine
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable

_log = logging.getLogger("gate_p2p.dns")

API: Final = "https://api.cloudflare.com/client/v4"
ATTEMPTS: Final = 4
PAUSE: Final = 0.5
"""Seconds before the second attempt, and twice as long before each that follows."""
LONGEST_WAIT: Final = 60.0
"""Seconds that a `Retry-After` is obeyed; the limit's window is 300 s, longer than a peer waits."""
CALLS_AT_ONCE: Final = 16
PER_PAGE: Final = 100
MAX_PAGES: Final = 50


class CloudflareError(DnsRefused):
    """The API answered that it will not. `codes`: the numbers of its errors, for us and not for the peer."""

    def __init__(self, codes: frozenset[int]) -> None:
        super().__init__()
        self.codes = codes


class CloudflareApi:
    """`token`: an API token. `base_url`: https, or http to this machine. `timeout`: seconds for one answer.

    Raises ValueError for a token that cannot be one, and for another URL.
    """

    def __init__(self, token: str, *, base_url: str = API, timeout: float = 10.0) -> None:
        if not (token.isascii() and token.isprintable() and token) or " " in token:
            raise ValueError("the Cloudflare token is empty, or holds characters that no token has")
        url = httpx.URL(base_url)
        here = is_this_machine(url.host)
        if url.scheme != "https" and not (url.scheme == "http" and here):
            raise ValueError(f"{base_url} would send the token unencrypted: expected https")
        self._base_url = base_url.rstrip("/")
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            follow_redirects=False,
            trust_env=not here,  # a proxy of the environment does not reach this machine's loopback
        )
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer to one call, repeated when it is worth it: records are the same made or removed twice.

        Raises CloudflareError, DnsRefused, DnsUnavailable.
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self._slots:
                    response = await self._client.request(
                        method, self._base_url + path, params=params, json=json
                    )
            except httpx.HTTPError as error:
                _log.warning("Cloudflare, %s %s: %r", method, path, error)
                wait = None
            else:
                wait = _retry_after(response)
                if response.status_code != 429 and response.status_code < 500:
                    return _read(response, method, path)
                _log.warning("Cloudflare, %s %s: status %d", method, path, response.status_code)
            if wait is not None and wait > LONGEST_WAIT:
                _log.error("Cloudflare asks to wait for %.0f s", wait)
                raise DnsUnavailable("the DNS service of this node is too busy: try again later")
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(PAUSE * 2**attempt if wait is None else wait)
        raise DnsUnavailable

    async def pages(self, path: str, params: Mapping[str, str | int]) -> list[dict[str, Any]]:
        """Every object of a list, page by page. Raises as `call` does."""
        rows: list[dict[str, Any]] = []
        for page in range(1, MAX_PAGES + 1):
            answer = await self.call("GET", path, params={**params, "page": page, "per_page": PER_PAGE})
            result = answer.get("result")
            if not isinstance(result, list):
                _log.error("Cloudflare, GET %s: the result is no list", path)
                raise DnsUnavailable
            rows += [row for row in result if isinstance(row, dict)]
            info = answer.get("result_info")
            total = info.get("total_pages") if isinstance(info, dict) else None
            if not result or not isinstance(total, int) or page >= total:
                return rows
        _log.error("Cloudflare, GET %s: more than %d pages", path, MAX_PAGES)
        raise DnsUnavailable


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that the server asks to wait; None where it does not say."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _read(response: httpx.Response, method: str, path: str) -> dict[str, Any]:
    """The body of an answer that says success. Raises CloudflareError, DnsUnavailable."""
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("success"), bool):
        _log.error(
            "Cloudflare, %s %s: status %d, and no answer of the API", method, path, response.status_code
        )
        raise DnsUnavailable
    if body["success"] and response.is_success:
        return body
    errors = body.get("errors")
    codes = frozenset(_codes(errors))
    _log.log(
        logging.DEBUG if method != "GET" and codes & {81044, 81057, 81058} else logging.ERROR,
        "Cloudflare, %s %s: status %d, %s",
        method,
        path,
        response.status_code,
        json.dumps(errors)[:500],
    )
    raise CloudflareError(codes)


def _codes(errors: object) -> list[int]:
    """The codes of the errors and of those that they name as causes."""
    found = []
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            if isinstance(code := error.get("code"), int):
                found.append(code)
            found += _codes(error.get("error_chain"))
    return found
