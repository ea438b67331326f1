"""SIGKILL at random moments and at every operation on a file; the same command again, and nothing differs."""

import hashlib
import http.server
import threading
import time
from pathlib import Path

import made
import numpy as np
import pytest
from drills import Drill, Survival, differences, snapshot

# One run for each way of training; both folds, because a validation fold keeps the best epoch too.
RUNS = {
    **{model: made.run_of(model) for model in made.TRAINABLE},
    "create, last epoch": made.run_of("create", fold="test"),
    "create, contrastive": made.run_of("create", alignment={"kind": "contrastive"}),
    "create of BERT4Rec and LightGCN": made.run_of(
        "create", sequence={"kind": "bert4rec", "max_length": 10}, graph={"kind": "lightgcn"}
    ),
}
KILLS = 15
"""Random kills a run of RUNS, and a command other than train."""


@pytest.mark.parametrize("name", ["sasrec", "create"])
def test_a_killed_training(drill, table, name) -> None:
    table("SIGKILL in training, at random moments", drill("train", made.train(RUNS[name])).at_random(3, chance(name)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RUNS)
def test_many_killed_trainings(drill, table, name) -> None:
    exercise = drill("train", made.train(RUNS[name]))
    table("SIGKILL in training, at random moments", exercise.at_random(KILLS, chance(name)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["sasrec", "create"])
def test_a_training_killed_at_each_operation(drill, table, name) -> None:
    exercise = drill("train", made.train(RUNS[name]))
    table("SIGKILL in training, at each operation on a file", exercise.at_each_operation())


@pytest.mark.parametrize("name", ["create", pytest.param("sasrec", marks=pytest.mark.slow)])
def test_a_training_resumed_ten_times(drill, table, name) -> None:
    """Each process gets one epoch further: it is killed when it puts its second checkpoint in place."""
    exercise = drill("train", made.train(made.run_of(name, training={"epochs": 12, "patience": 12})))
    expected, usual = exercise.undisturbed()
    exercise._fresh()
    for _ in range(10):
        assert exercise._run(kill_at=2, only=["os.rename"]).killed
    outcome = exercise._run()
    found = snapshot(exercise.folder)
    same = outcome.status == 0 and found == expected
    wrong = [] if same else [f"{differences(found, expected)} {outcome.printed}"]
    table("a training resumed ten times", Survival(1, int(same), [outcome.seconds], usual, wrong))


OTHERS = {"prepare": made.prepare(), "split": made.split(), "collect": made.collect()}
OTHERS["evaluate"] = made.evaluate(made.run_of("create", fold="test"))


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[] if name == "split" else pytest.mark.slow) for name in OTHERS]
)
def test_a_command_killed_at_each_operation(drill, table, command) -> None:
    exercise = drill(command, OTHERS[command])
    table(f"SIGKILL in {command}, at each operation on a file", exercise.at_each_operation())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", OTHERS)
def test_a_command_killed_at_random(drill, table, command) -> None:
    exercise = drill(command, OTHERS[command])
    table(f"SIGKILL in {command}, at random moments", exercise.at_random(KILLS, chance(command), in_a_row=1))


# --- downloads ----------------------------------------------------------------------------------------------------


class SlowMirror(http.server.BaseHTTPRequestHandler):
    """A mirror that knows ranges and takes its time, so that a kill finds a download under way."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        body = self.server.files.get(self.path.rpartition("/")[2])
        if body is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"made"')
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.server.continued += 1
        self.end_headers()
        try:
            for place in range(start, len(body), 1 << 14):
                self.wfile.write(body[place : place + (1 << 14)])
                time.sleep(0.01)
        except OSError:
            pass  # whoever asked was killed


@pytest.fixture
def mirror(tmp_path: Path):
    made.write_reviews(tmp_path / "reviews", padding=2000)
    body = (tmp_path / "reviews").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowMirror)
    name = "reviews_Beauty_5.json.gz"
    sums = f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()
    server.files, server.continued = {name: body, "SHA256SUMS": sums}, 0
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def download_drill(children, folder: Path, mirror) -> Drill:
    return Drill(children, made.download(f"http://127.0.0.1:{mirror.server_port}"), lambda _: None, folder)


def test_a_killed_download(children, tmp_path, mirror, table) -> None:
    exercise, moments = download_drill(children, tmp_path / "drill", mirror), chance("download")
    for _ in range(6):  # a kill may fall before the first byte, and after the last
        table("SIGKILL in a download, at random moments", exercise.at_random(5, moments))
        if mirror.continued:
            break
    assert mirror.continued, "no download went on from where it had been killed"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_download_killed_often(children, tmp_path, mirror, table) -> None:
    exercise = download_drill(children, tmp_path / "drill", mirror)
    table("SIGKILL in a download, at random moments", exercise.at_random(2 * KILLS, chance("download")))
    table("SIGKILL in a download, at each operation on a file", exercise.at_each_operation())


def chance(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))
