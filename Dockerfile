# Stages: `cpu` (default) and `gpu`. Nothing in the last stages compiles Python packages; the service runs as user 10001
# on a read-only root and writes to /var/lib/cxr and /tmp alone. /opt/cxr/sbom.json lists the Python packages.
#
#   docker build --target cpu --build-arg PYTORCH_INDEX=<PyTorch's CPU wheel index> -t llm-cxr-server:cpu .
#   docker build --target gpu -t llm-cxr-server:gpu .

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1 \
  AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/cxr/bin:$PATH
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini=0.19.* libgomp1=12.2.* libtcmalloc-minimal4=2.10* libnuma1=2.0.* \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/cxr cxr \
 && install -d -o cxr -g cxr /var/lib/cxr

FROM base AS build
ENV PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --no-deps --only-binary :all: --require-hashes --requirement requirements/sbom.txt \
 && python -m venv /opt/cxr
COPY pyproject.toml README.md LICENSE ./

FROM build AS build-cpu
ARG PYTORCH_INDEX=
RUN python requirements/install.py /opt/cxr --packages-only --pytorch-index "$PYTORCH_INDEX"
COPY app app
COPY models models
RUN pip install --no-deps --no-build-isolation . \
 && /opt/sbom/bin/cyclonedx-py environment /opt/cxr/bin/python --output-reproducible -o /opt/cxr/sbom.json

FROM build AS build-gpu
RUN pip install --no-deps --only-binary :all: --require-hashes --requirement requirements/gpu.txt
COPY app app
COPY models models
RUN pip install --no-deps --no-build-isolation . \
 && /opt/sbom/bin/cyclonedx-py environment /opt/cxr/bin/python --output-reproducible -o /opt/cxr/sbom.json

FROM base AS service
ENV HOME=/var/lib/cxr \
    CXR_STATE_DIR=/var/lib/cxr \
    CXR_BUNDLE=/opt/bundle \
    CXR_HOST=0.0.0.0 \
    CXR_PORT=8080
COPY --chown=root:root models/bundles/demo /opt/bundle
WORKDIR /var/lib/cxr
VOLUME /var/lib/cxr
EXPOSE 8080 11112
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=300s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=8)"]
ENTRYPOINT ["tini", "--", "cxr"]
CMD ["serve"]

FROM service AS gpu
# Triton compiles its kernels' launchers when the engine starts, and asks for a C compiler then.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc=4:12.2.* libc6-dev=2.36-* \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build-gpu /opt/cxr /opt/cxr
USER 10001:10001

FROM service AS cpu
# PyTorch compiles for a CPU with a C++ compiler, which is not here.
ENV CXR_ENGINE__ENFORCE_EAGER=true
COPY --from=build-cpu /opt/cxr /opt/cxr
USER 10001:10001
