"""Cloudflare's API for zones and DNS records on the loopback interface: its bodies, codes and pages."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

TOKEN = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"
PREFIX = "/client/v4"
PER_PAGE = 2  # at most, so that a few records make several pages


class Scripted(NamedTuple):
    """An answer that is given instead of the real one. `before`: carry the call out first."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    before: bool = False


DROP = Scripted(0)
"""Close the connection without an answer."""


def failure(code: int, message: str, **more: Any) -> dict[str, Any]:
    return {
        "success": False,
        "errors": [{"code": code, "message": message, **more}],
        "messages": [],
        "result": None,
    }


class CloudflareServer:
    """`zones`: id by name. `records`: by id. `scripted`: answers to the next calls. `calls`: all of them."""

    def __init__(self) -> None:
        self.zones = {"private.example": "z1" * 16, "sub.private.example": "z2" * 16}
        self.pending = {"pending.example": "z3" * 16}
        self.name_servers = ["ada.ns.example", "bob.ns.example"]
        self.records: dict[str, dict[str, Any]] = {}
        self.scripted: deque[Scripted] = deque()
        self.calls: list[str] = []
        self._made = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                server._serve(self)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815  the names that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}{PREFIX}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def put(self, name: str, content: str, kind: str = "TXT", zone: str = "private.example") -> str:
        """Make a record without a check; its id."""
        self._made += 1
        record_id = f"{self._made:032x}"
        self.records[record_id] = {
            "id": record_id, "zone_id": self.zones[zone],
            "type": kind, "name": name, "content": content, "ttl": 60,
        }  # fmt: skip
        return record_id

    def contents(self, name: str) -> list[str]:
        return sorted(one["content"] for one in self.records.values() if one["name"] == name)

    # -- HTTP

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        sent = request.rfile.read(length)
        with self._lock:
            self.calls.append(f"{request.command} {request.path.removeprefix(PREFIX)}")
            script = self.scripted.popleft() if self.scripted else None
            if script is None or script.before:
                status, answer = self._answer(request, sent)
        if script is not None and script.status == 0:
            request.close_connection = True
            return
        body = json.dumps(answer).encode() if script is None else script.body
        request.send_response(status if script is None else script.status)
        for name, value in script.headers if script is not None else ():
            request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _answer(self, request: BaseHTTPRequestHandler, sent: bytes) -> tuple[int, dict[str, Any]]:
        authorization = request.headers.get("Authorization", "")
        if not authorization.startswith("Bearer ") or len(authorization) < 40:
            chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
            return 400, failure(6003, "Invalid request headers", error_chain=chain)
        if authorization != f"Bearer {TOKEN}":
            return 403, failure(9109, "Invalid access token")
        parts = urllib.parse.urlsplit(request.path.removeprefix(PREFIX))
        query = dict(urllib.parse.parse_qsl(parts.query))
        match request.command, parts.path.strip("/").split("/"):
            case "GET", ["zones"]:
                return self._page(query, self._zone_rows(query))
            case method, ["zones", zone_id, "dns_records", *rest]:
                zone = next((name for name, one in self.zones.items() if one == zone_id), None)
                if zone is None:
                    text = f"Could not route to {parts.path}, perhaps your object identifier is invalid?"
                    return 400, failure(7003, text)
                match method, rest:
                    case "GET", []:
                        rows = [one for one in self.records.values() if self._listed(one, zone_id, query)]
                        return self._page(query, rows)
                    case "POST", []:
                        return self._post(json.loads(sent), zone)
                    case "DELETE", [record_id]:
                        if self.records.pop(record_id, None) is None:
                            return 404, failure(81044, "Record does not exist.")
                        return 200, self._success({"id": record_id})
        return 405, failure(10405, "Method not allowed for this authentication scheme")

    def _zone_rows(self, query: dict[str, str]) -> list[dict[str, Any]]:
        return [
            {"id": zone_id, "name": name, "status": status, "name_servers": self.name_servers}
            for zones, status in ((self.zones, "active"), (self.pending, "pending"))
            for name, zone_id in zones.items()
            if query.get("name") in {None, name}
        ]

    @staticmethod
    def _listed(record: dict[str, Any], zone_id: str, query: dict[str, str]) -> bool:
        return bool(
            record["zone_id"] == zone_id
            and query.get("type") in {None, record["type"]}
            and query.get("name.exact", "").lower() in {"", record["name"]}
        )

    def _page(self, query: dict[str, str], rows: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        page, size = int(query.get("page", 1)), min(int(query.get("per_page", 100)), PER_PAGE)
        shown = rows[(page - 1) * size : page * size]
        info = {
            "page": page, "per_page": size, "count": len(shown), "total_count": len(rows),
            "total_pages": -(-len(rows) // size),
        }  # fmt: skip
        return 200, {**self._success(shown), "result_info": info}

    def _post(self, body: dict[str, Any], zone: str) -> tuple[int, dict[str, Any]]:
        if body["ttl"] != 1 and not 60 <= body["ttl"] <= 86400:
            return 400, failure(
                9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."
            )
        name = body["name"].lower()
        if name != zone and not name.endswith("." + zone):
            name = f"{name}.{zone}"
        same = [one for one in self.records.values() if (one["name"], one["type"]) == (name, body["type"])]
        if any(one["content"] == body["content"] for one in same):
            return 400, failure(81058, "An identical record already exists.")
        return 200, self._success(self.records[self.put(name, body["content"], body["type"], zone)])

    @staticmethod
    def _success(result: Any) -> dict[str, Any]:
        return {"success": True, "errors": [], "messages": [], "result": result}
