# The one image of this project's code: every service but the database, the web server and the broker runs it.
# Nothing is fetched but the locked, hashed packages and uv from the package index. Builds with and without BuildKit.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
# a city without internet names its own mirror; certificates of its own authority go into deploy/certificates/
ARG PACKAGE_INDEX=https://pypi.org/simple
ARG UV_VERSION=0.13.9
WORKDIR /opt/warehouse
COPY deploy/certificates/ /tmp/certificates/
RUN cat /etc/ssl/certs/ca-certificates.crt $(find /tmp/certificates -name '*.crt') > /tmp/authorities.pem
ENV PIP_INDEX_URL=${PACKAGE_INDEX} UV_DEFAULT_INDEX=${PACKAGE_INDEX} PIP_CERT=/tmp/authorities.pem SSL_CERT_FILE=/tmp/authorities.pem \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_HTTP_TIMEOUT=300
COPY requirements.lock ./
RUN python -m venv /opt/venv && python -m venv /opt/uv && /opt/uv/bin/pip install -q uv==${UV_VERSION} \
    && VIRTUAL_ENV=/opt/venv /opt/uv/bin/uv pip sync -q --require-hashes --compile-bytecode --python /opt/venv/bin/python requirements.lock

FROM ${BASE_IMAGE} AS code
WORKDIR /opt/warehouse
COPY . .
RUN python -m compileall -q .

FROM ${BASE_IMAGE}
# 10001 is nobody on the host; the volumes belong to it
RUN groupadd --gid 10001 warehouse && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/warehouse --shell /usr/sbin/nologin warehouse \
    && mkdir -p /var/lib/warehouse && cd /var/lib/warehouse && mkdir inbox archive outbox reports logs secrets && chmod 700 secrets && chmod 2771 inbox \
    && chown -R warehouse:warehouse /var/lib/warehouse \
    && printf '#!/opt/venv/bin/python\nfrom warehouse.cli import main\n\nmain()\n' > /usr/local/bin/warehouse && chmod 755 /usr/local/bin/warehouse
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/warehouse PYTHONUNBUFFERED=1 LANG=C.UTF-8 TZ=UTC WAREHOUSE_HOME=/var/lib/warehouse DO_NOT_TRACK=1
WORKDIR /opt/warehouse
USER warehouse
CMD ["warehouse", "--help"]
# the packages first: a new version of the code is then a layer of a few megabytes
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /opt/warehouse /opt/warehouse
# what the ledger of publications writes down as the code's version
ARG VERSION=
ENV WAREHOUSE_VERSION=${VERSION}
