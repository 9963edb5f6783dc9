"""A model server with OpenAI's API, for trying out a node that serves inference: two models of no use.

`tiny` answers at once; `slow` takes some seconds, and streams a chunk a second.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW_SECONDS = 4
MODELS = ("tiny", "slow")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._whole(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
        else:
            self._whole(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("model") not in MODELS:
            self._whole(404, {"error": {"message": "no such model"}})
            return
        pause = SLOW_SECONDS / 4 if body["model"] == "slow" else 0.0
        if body.get("stream") is True:
            self._stream(body["model"], pause)
            return
        time.sleep(4 * pause)
        message = {"role": "assistant", "content": "Hello."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._whole(200, {"object": "chat.completion", "model": body["model"], "choices": [choice]})

    def _stream(self, model: str, pause: float) -> None:
        self._head(200, "text/event-stream")
        for number, text in enumerate(("Hel", "lo", ".", "")):
            time.sleep(pause)
            choice = {
                "index": 0,
                "delta": {"content": text},
                "finish_reason": "stop" if number == 3 else None,
            }
            chunk = {"object": "chat.completion.chunk", "model": model, "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")

    def _whole(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self._head(status, "application/json", len(body))
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing is said about requests."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error: requests are cancelled."""


@contextmanager
def model_server() -> Iterator[str]:
    """A running server, on a free port of 127.0.0.1; gives the base URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with model_server() as url:
        print(url, flush=True)
        threading.Event().wait()
