"""A headless Chromium, spoken to through its debugging pipe with the standard library alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The browser reads commands from the file descriptor 3 and answers on 4, each message ended by a zero byte.
START = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page: what it threw so far, and a way to run code in it."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self.commands, self.answers = commands, answers
        self.errors: list[str] = []
        self.number, self.session = 0, {}

    def open(self, path: Path) -> None:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.session = {"sessionId": session}
        self.ask("Runtime.enable")
        self.ask("Page.enable")
        self.ask("Page.navigate", url=path.as_uri())
        while self.read().get("method") != "Page.loadEventFired":
            pass

    def run(self, code: str) -> Any:
        """The value that an expression's promise comes to."""
        answer = self.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")  # nothing for `undefined`

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **self.session}
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while (answer := self.read()).get("id") != self.number:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser is gone"
            text += byte
        message = json.loads(text)
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        return message


@contextmanager
def browsing(browser: str, path: Path, profile: Path) -> Iterator[Page]:
    """The page at a path, in a browser for which no host on the network exists."""
    command_end, commands = os.pipe()
    answers, answer_end = os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--window-size=1600,1200"]
    options += [f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [sys.executable, "-c", START, str(command_end), str(answer_end), browser, *options]
    process = subprocess.Popen(command, pass_fds=(command_end, answer_end), stderr=subprocess.DEVNULL)
    os.close(command_end)
    os.close(answer_end)
    with os.fdopen(commands, "wb") as writer, os.fdopen(answers, "rb") as reader:
        try:
            page = Page(writer, reader)
            page.open(path)
            yield page
        finally:
            process.terminate()
            process.wait(timeout=30)
