# One image for code server, webserver, daemon, runs and every `shs` command: docs/containers.md.
#
# The tag moves with Python's and Debian's corrections. For a build that is the same forever, put
# `@sha256:…` of the base image behind it here; it was not known where this was written.
FROM python:3.12-slim-trixie AS base
ENV PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:$PATH

# --- what is only needed to build ---------------------------------------------------------
FROM base AS build
WORKDIR /app
COPY deploy/image-tools.lock deploy/
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes --only-binary :all: --requirement deploy/image-tools.lock \
    && python -m venv --without-pip /opt/venv
# requirements-local.lock adds the database server and the charts of `shs preview`; the cloud has no use for them.
ARG LOCK=requirements.lock
COPY requirements.lock requirements-local.lock ./
# Wheels with the hashes of the lock file, nothing else: no package is compiled or may run a script here.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/venv/bin/python --link-mode copy --compile-bytecode \
        --require-hashes --only-binary :all: --requirements "$LOCK"
COPY . .
# The project stays in its folder, since its models and configuration lie beside the package. The definitions
# are loaded here once: they leave the parsed models there, where nothing can be written when it runs.
RUN site="$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && echo /app > "$site/shs.pth" \
    && printf '#!/opt/venv/bin/python\nfrom shs_pipeline.cli.main import main\n\nmain()\n' > /opt/venv/bin/shs \
    && chmod 755 /opt/venv/bin/shs \
    && HOME=/tmp SHS_HOME=/tmp/shs \
        /opt/venv/bin/python -c 'from shs_pipeline.definitions import build_defs; build_defs()' \
    && /opt/venv/bin/python -m compileall -q shs_pipeline assets sensors

# --- what runs ---------------------------------------------------------------------------
FROM base
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Sales Performance Tracker" \
      org.opencontainers.image.description="Code server, webserver, daemon and runs; the command says which" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, so that whoever runs it can tell that it is not root. Nothing is installed here any more.
RUN groupadd --gid 10001 shs \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/shs \
        --shell /usr/sbin/nologin shs \
    && install -d -o 10001 -g 10001 -m 750 /var/lib/shs /var/lib/shs-people \
    && pip uninstall --yes --root-user-action=ignore pip
# All wheels bring their libraries; beside libc, libstdc++ and zlib, which Debian's base has, nothing is needed.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/shs \
    SHS_HOME=/var/lib/shs
WORKDIR /app
USER 10001:10001
# 3000: the webserver, 4000: the code server.
EXPOSE 3000 4000
# It finds out which service runs here. A new version may move Dagster's tables first, hence the start period.
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s --retries=3 \
    CMD ["python", "-m", "shs_pipeline.system.health"]
ENTRYPOINT ["shs", "exec", "--"]
