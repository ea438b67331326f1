"""What `createrec doctor` says, and that a part that fails does not silence the rest."""

import hashlib
import re

import requests

from createrec.cli import main
from createrec.data import registry
from createrec.doctor import commands, hosts


def test_it_names_versions_devices_and_the_mirror(capsys, monkeypatch, tmp_path):
    (tmp_path / "SHA256SUMS").write_text("")
    monkeypatch.setenv("CREATEREC_MIRROR", str(tmp_path))
    assert main(["doctor", "--offline"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["createrec"].startswith("0.")
    assert "GFLOP/s" in lines["device"]
    assert lines["mirror"] == f"{tmp_path} has SHA256SUMS"
    assert "missing" not in lines["packages"]
    assert "download" not in lines


def test_a_mirror_without_checksums_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("CREATEREC_MIRROR", str(tmp_path))
    assert dict(commands.findings(offline=True))["mirror"] == f"{tmp_path} has no SHA256SUMS"


def test_each_download_host_is_asked_once_and_may_be_away(monkeypatch):
    asked = []

    def head(address, **_):
        asked.append(address)
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "head", head)
    monkeypatch.delenv("CREATEREC_MIRROR", raising=False)
    found = [text for subject, text in commands.findings() if subject == "download host"]
    assert len(asked) == len(set(asked)) == len(found) > 1
    assert all("cannot be reached (ConnectionError)" in text for text in found)
    assert {entry.url.split("/")[2] for entry in registry.datasets().values()} == {a.split("/")[2] for a in asked}


def test_a_device_that_fails_is_told_and_the_rest_goes_on(monkeypatch):
    def broken(name):
        raise RuntimeError("driver too old")

    monkeypatch.setattr("createrec.training.device.choose_device", broken)
    found = dict(commands.findings(offline=True))
    assert found["device cpu"] == "does not work: driver too old"
    assert "mirror" in found


def data_findings(capsys) -> dict[str, dict[str, str]]:
    """What --data prints: dataset -> subject -> finding."""
    assert main(["doctor", "--data", "--offline"]) == 0
    found: dict[str, dict[str, str]] = {}
    for line in capsys.readouterr().out.splitlines():
        subject, finding = re.fullmatch(r"(  [a-z ]+?|\S+) +(\S.*)", line).groups()
        facts = found[list(found)[-1]] if subject.startswith("  ") else found.setdefault(subject, {})
        facts[subject.strip()] = finding
    return found


def test_data_tells_what_is_known_and_here(capsys, monkeypatch, tmp_path):
    """Beauty from a mirror, Office without a published checksum, Sports damaged, the rest not here."""
    mirror, raw = tmp_path / "mirror", tmp_path / "data" / "raw"
    mirror.mkdir()
    raw.mkdir(parents=True)
    beauty, office, sports = (registry.dataset(f"amazon-{name}").file for name in ("beauty", "office", "sports"))
    mirrored = hashlib.sha256(b"mirrored").hexdigest()
    (mirror / "SHA256SUMS").write_text(f"{mirrored}  {beauty}\n")
    (raw / beauty).write_bytes(b"mirrored")
    (raw / office).write_bytes(b"office")
    (raw / sports).write_bytes(b"damaged")
    monkeypatch.setenv("CREATEREC_MIRROR", str(mirror))
    monkeypatch.chdir(tmp_path)
    found = data_findings(capsys)
    assert list(found) == list(registry.datasets())
    assert found["amazon-beauty"]["known"].startswith("SHA-256 e5925ec9")
    assert found["amazon-beauty"]["mirror"] == f"SHA-256 {mirrored}, not the official one"
    assert "placed by hand, the mirror's file" in found["amazon-beauty"]["here"]
    assert found["amazon-office"]["known"] == "no checksum; the first download's will be kept"
    assert found["amazon-office"]["mirror"] == "does not list it"
    assert "nothing to compare it with" in found["amazon-office"]["here"]
    assert "wrong: delete it to have it fetched again" in found["amazon-sports"]["here"]
    assert found["ml-1m"]["here"] == "no data/raw/ml-1m.zip"


def test_data_goes_on_where_the_mirror_is_none(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CREATEREC_MIRROR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert all("no SHA256SUMS there" in found["mirror"] for found in data_findings(capsys).values())


def test_reachable_tells_the_size(monkeypatch):
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Length"] = "44819276"
    monkeypatch.setattr(requests, "head", lambda *_, **__: response)
    assert hosts.reachable("https://example.org/file") == "answers (200, 44,819,276 bytes)"
