"""`createrec doctor`: what a person needs to paste into a bug report."""

import argparse
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from createrec.data import registry
from createrec.doctor.hosts import reachable
from createrec.errors import CreaterecError
from createrec.provenance import package_version

PACKAGES = ("torch", "snakemake", "numpy", "scipy", "pandas", "pyarrow", "pydantic", "optuna", "safetensors")
PRODUCT_SIZE, PRODUCTS = 2048, 3
GIGABYTE = 1 << 30


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("doctor", help="print versions, devices, speed and reachable hosts, for a bug report")
    command.add_argument("--offline", action="store_true", help="do not ask the download hosts")
    command.add_argument("--data", action="store_true", help="of each dataset: what is known, reachable and here")
    command.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace) -> None:
    if options.data:
        from createrec.data.datasets import RAW
        from createrec.doctor import datasets

        lines = datasets.findings(RAW, os.environ.get("CREATEREC_MIRROR"), options.offline)
    else:
        lines = findings(options.offline)
    for subject, finding in lines:
        print(f"{subject:<19}{finding}", flush=True)


def findings(offline: bool = False) -> Iterator[tuple[str, str]]:
    """What is found here, as (subject, finding) pairs; a part that fails says so and the rest goes on."""
    import psutil

    yield "createrec", package_version()
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(Path.cwd())
    yield "memory", f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB free"
    yield "disk here", f"{disk.free / GIGABYTE:.1f} of {disk.total / GIGABYTE:.1f} GB free"
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield "processor", f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS {threads}"
    yield from _devices()
    mirror = os.environ.get("CREATEREC_MIRROR")
    yield "mirror", _mirror(mirror) if mirror else "none (CREATEREC_MIRROR is not set)"
    if not offline:
        for host in dict.fromkeys(
            urlsplit(entry.url)._replace(path="/").geturl() for entry in registry.datasets().values()
        ):
            yield "download host", f"{host} {reachable(host)}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _devices() -> Iterator[tuple[str, str]]:
    import torch

    from createrec.training.device import choose_device, describe

    yield (
        "CUDA",
        f"build {torch.version.cuda or 'without CUDA'}, {'works' if torch.cuda.is_available() else 'no device'}",
    )
    for name in ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]:
        try:
            device = choose_device(name)
            factor = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE, device=device)
            (factor @ factor).sum().item()  # once unmeasured: libraries load at their first use
            started = time.perf_counter()
            for _ in range(PRODUCTS):
                product = factor @ factor
            product.sum().item()
            rate = PRODUCTS * 2 * PRODUCT_SIZE**3 / (time.perf_counter() - started) / 1e9
            finding = f"{describe(device)}; {rate:,.0f} GFLOP/s in float32 products"
            if device.type == "cuda":
                free, total = torch.cuda.mem_get_info(device)
                finding += f"; {free / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GB free"
        except (CreaterecError, RuntimeError) as error:
            finding = f"does not work: {error}"
        yield f"device {name}", finding


def _mirror(mirror: str) -> str:
    if "://" in mirror:
        return f"{mirror} {reachable(mirror.rstrip('/') + '/SHA256SUMS')}"
    sums = Path(mirror, "SHA256SUMS")
    return f"{mirror} {'has' if sums.is_file() else 'has no'} SHA256SUMS"
