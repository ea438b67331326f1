"""What `createrec doctor` says, and that a part that fails does not silence the rest."""

import requests

from createrec.cli import main
from createrec.data import registry
from createrec.doctor import commands


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
