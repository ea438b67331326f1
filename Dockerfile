# The environment of `make install` in an image; CUDA comes with torch, so the same image runs with and without a GPU.
#
#   docker build --tag createrec .                             (make docker; --build-arg TORCH=cpu: 5 GB less, no GPU)
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD/out:/work" createrec table2
#
# Everything that is downloaded, trained or rendered lands in the one mounted folder, owned by the calling user. What
# follows the image's name are Snakemake's arguments, the target first.

ARG BASE=debian:bookworm-slim
FROM ${BASE}

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The pinned requirements, in a layer that a change of the code leaves alone.
ARG TORCH=cuda
COPY envs/requirements.lock envs/torch-cpu.lock envs/torch-cuda.lock /app/envs/
RUN python3 -m venv /opt/venv \
    && pip="/opt/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --no-deps" \
    && if [ "${TORCH}" = cpu ]; then \
           $pip --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu --requirement /app/envs/torch-cpu.lock; \
       else \
           $pip --requirement /app/envs/torch-cuda.lock; \
       fi \
    && $pip --requirement /app/envs/requirements.lock

ENV PATH=/opt/venv/bin:$PATH

# The code, readable by all and writable by none but root.
WORKDIR /app
COPY . .
RUN pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable . \
    && python -m compileall -q src \
    && mkdir --mode 1777 /work

# Caches go where results go, because the calling user has no home in here, and no name either.
ENV HOME=/work \
    LOGNAME=createrec \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000

ENTRYPOINT ["snakemake", "--directory", "/work", "--cores", "all"]
CMD ["all"]
