"""What the code must never do, read from the code; and names that must never become paths or commands."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import made
import pytest

from createrec.config import load
from createrec.data import registry
from createrec.errors import ConfigError
from createrec.plan import make_run
from createrec.runs.run import run_of_slice

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save"}
FORBIDDEN_CALLS |= {
    "pandas.read_pickle",
    "np.save",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "tempfile.mktemp",
}
FORBIDDEN_CALLS |= {"ssl._create_unverified_context"}


def findings(source: str) -> Iterator[str]:
    """What of the forbidden a source does, with its line."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: {called}"
            for keyword in node.keywords:
                value = ast.unparse(keyword.value)
                if (keyword.arg, value) in {("shell", "True"), ("verify", "False"), ("allow_pickle", "True")}:
                    yield f"line {node.lineno}: {keyword.arg}={value}"
            if called in ("np.load", "numpy.load") and "allow_pickle" not in {keyword.arg for keyword in node.keywords}:
                yield f"line {node.lineno}: {called} without allow_pickle=False"
        yield from (f"line {node.lineno}: {name}" for name in names if name.partition(".")[0] in FORBIDDEN_IMPORTS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_source_unpickles_evaluates_or_calls_a_shell(path: Path) -> None:
    assert not list(findings(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "requests.get(address, verify=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
    ],
)
def test_the_scan_finds_what_it_looks_for(source: str) -> None:
    assert list(findings(source))


def test_every_requirement_is_pinned_with_its_hash() -> None:
    locks = sorted((ROOT / "envs").glob("*.lock"))
    assert len(locks) >= 3
    for lock in locks:
        text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
        wanted = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "--"))]
        assert wanted, lock
        for line in wanted:
            assert re.match(r"[A-Za-z0-9_.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line.strip()), f"{lock}: {line}"
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_shell_commands_of_the_workflow_quote_what_the_configuration_decides() -> None:
    """Unquoted are only counts, and wildcards, which the names' pattern keeps to plain words."""
    plain = re.compile(r"wildcards\.\w+|threads|params\.(workers|number)")
    for path in [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]:
        text = path.read_text(encoding="utf-8")
        for command in re.findall(r'shell:\s*(""".*?"""|(?:"[^"\n]*"\s*)+)', text, re.DOTALL):
            for name in re.findall(r"(?<!\{)\{([^{}]+)\}", command):
                assert name.endswith(":q") or plain.fullmatch(name), f"{path.name}: {{{name}}} is not quoted"


BAD_NAMES = [
    "../x",
    "..",
    ".hidden",
    "a/b",
    "/etc",
    "a b",
    "a;b",
    "$(id)",
    "`id`",
    "a\nb",
    "a\n",
    "-x",
    "",
    "é",
    "x" * 101,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_more_than_a_word_is_refused(tmp_path: Path, name: str) -> None:
    import yaml

    overlay = tmp_path / "overlay.yaml"
    for family, value in (("datasets", {}), ("models", {"kind": "svd"})):
        overlay.write_text(yaml.safe_dump({family: {name: value}}), encoding="utf-8")
        with pytest.raises(ConfigError, match="String should"):
            load([ROOT / "config.yaml", overlay])
    if len(name) <= 100:
        config = load([ROOT / "config.yaml"])
        with pytest.raises(ConfigError, match="variant"):
            make_run(config, "ml-1m", "svd", name)
        for key in ("dataset", "model", "variant"):
            with pytest.raises(ConfigError, match=key):
                run_of_slice({**made.run_of("svd").slice(), key: name})


def test_registered_names_and_files_are_plain_words() -> None:
    for name, entry in registry.datasets().items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)
        assert Path(entry.file).name == entry.file
        assert entry.url.startswith("https://") or entry.sha256, f"{name}: neither TLS nor a checksum"


TLS_SERVER = """
import http.server, ssl, sys
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_certificate_that_nobody_signed_is_refused(children, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run(
            [*request, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    command = [sys.executable, "-c", TLS_SERVER, certificate, key]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path
    ) as server:
        try:
            mirror = f"https://127.0.0.1:{server.stdout.readline().strip()}"
            (tmp_path / "work").mkdir()
            outcome = children.run(*made.download(mirror), cwd=tmp_path / "work")
        finally:
            server.terminate()
    assert outcome.status == 1 and "certificate is not valid" in outcome.printed, outcome.printed


def test_the_container_does_not_run_as_root() -> None:
    path = ROOT / "Dockerfile"
    if not path.exists():
        pytest.skip("no Dockerfile in this copy")
    users = re.findall(r"^USER\s+(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert users and users[-1] not in ("root", "0", "0:0")
