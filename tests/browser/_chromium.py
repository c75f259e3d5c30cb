"""A page in a real, headless Chromium, driven over its DevTools protocol.

Chromium speaks the protocol on two pipes (``--remote-debugging-pipe``): JSON, each message ended
by a NUL. That needs no driver, no port and no library. Cf. https://chromedevtools.github.io.
"""

import json
import os
import select
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 60.0
_KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Tab": 9, "Enter": 13, " ": 32}
_TEXT = {"Enter": "\r", " ": " "}
_OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # containers run as root, where Chromium refuses its own sandbox
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
)


def executable() -> str | None:
    """Where a Chromium is; None if this machine has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab of a running Chromium.

    Attributes
    ----------
    complaints : list of str
        Errors, warnings, refused requests and dialogs since the page was opened.
    requests : list of str
        Addresses asked for since the page was opened, without data within the page.
    """

    def __init__(self, to_chromium: int, from_chromium: int) -> None:
        self._to, self._from, self._buffer, self._n_sent = to_chromium, from_chromium, b"", 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, width_px: int = 1280, scheme: str = "light") -> None:
        """Open a file at a window's width, and wait until it is loaded."""
        self.resize(width_px, scheme)
        self.send("Page.navigate", url="about:blank")
        self._wait_for("Page.loadEventFired")
        self.complaints, self.requests = [], []
        self.send("Page.navigate", url=path.as_uri())
        self._wait_for("Page.loadEventFired")
        self.requests.remove(path.as_uri())

    def resize(self, width_px: int, scheme: str = "light") -> None:
        """Give the window another width, and the reader another taste."""
        size = {"width": width_px, "height": 844, "deviceScaleFactor": 1}
        self.send("Emulation.setDeviceMetricsOverride", **size, mobile=width_px < 600)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def evaluate(self, expression: str) -> Any:
        """Value of an expression in the page; a promise is waited for."""
        options = {"awaitPromise": True, "returnByValue": True}
        answer = self.send("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, and let the page answer."""
        for key in keys:
            code = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
            text = {"text": _TEXT[key]} if key in _TEXT else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **code)
        self.settle()

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.send("Input.insertText", text=text)
        self.settle()

    def click(self, selector: str) -> None:
        """Click with the mouse into the middle of an element."""
        box = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const {x, y, width, height} = found.getBoundingClientRect();"
            "return [x + width / 2, y + height / 2]; })()"
        )
        place = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **place)
        self.settle()

    def settle(self) -> None:
        """Wait until the page has drawn twice: whatever a key started is then seen."""
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
            ".then(() => true)"
        )

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Keep a picture of the window, or of the whole page, as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(b64decode(shot["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._n_sent += 1
        number = self._n_sent
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._to, content) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._note(answer)

    def _wait_for(self, event: str) -> None:
        while not any(found["method"] == event for found in self._events):
            self._note(self._receive())
        self._events = []

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))[0]
            content = os.read(self._from, 2**20) if ready else b""
            if not content:
                raise TimeoutError(f"Chromium said nothing for {TIMEOUT_S:g} s, or ended")
            self._buffer += content
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        """Remember an event, and what it complains of."""
        method, about = event["method"], event.get("params", {})
        self._events.append(event)
        if method == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith(("data:", "about:")):
                self.requests.append(address)
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {about['message']}")
            self.send("Page.handleJavaScriptDialog", accept=True)
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"]))
        elif method in ("Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(about))


@contextmanager
def running(path: str, profile: Path) -> Iterator[Page]:
    """Start the Chromium at ``path`` with a fresh profile folder; it ends with the block."""
    commands, to_chromium = os.pipe()
    from_chromium, answers = os.pipe()
    # Chromium reads from descriptor 3 and writes to 4
    shell = ["/bin/sh", "-c", f'exec "$0" "$@" 3</dev/fd/{commands} 4>/dev/fd/{answers}']
    process = subprocess.Popen(
        [*shell, path, *_OPTIONS, f"--user-data-dir={profile}"],
        pass_fds=(commands, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    try:
        yield Page(to_chromium, from_chromium)
    finally:
        os.close(to_chromium)  # which tells it to end
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_chromium)
