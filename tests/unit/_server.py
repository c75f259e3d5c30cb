"""A real local server that answers as it is told."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers each path with a function; remembers what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path)
        self.send_error(404) if answer is None else answer(self)

    def log_message(self, *args: object) -> None:
        pass


def sending(
    content: bytes,
    kind: str = "application/octet-stream",
    only: int | None = None,
    then: Callable[[], object] = lambda: None,
    **headers: str,
):
    """Make an answer: the content, or only its first bytes under a header that promises all."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        handler.send_response(206 if wanted else 200)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Content-Type": kind, "Content-Length": str(len(content) - start)}
        for name, value in named.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content[start:only])
        then()

    return answer


def serving() -> Iterator[Server]:
    """A server that answers; for a fixture."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
