# The service as an image. It holds no state of its own: either give it DATABASE_URL, or a volume at /data for the
# embedded PostgreSQL (a trial in one container). Everything outside /data and /tmp may be mounted read-only.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# No pip in the environment that is shipped: the build's own installs into it.
RUN python -m venv --without-pip /opt/fathomline
WORKDIR /src
COPY requirements.lock ./
RUN python -m pip --python /opt/fathomline/bin/python install --quiet --require-hashes --only-binary :all: -r requirements.lock
COPY LICENSE README.md pyproject.toml ./
COPY api api
COPY benchmarks benchmarks
COPY instruments instruments
COPY migrations migrations
COPY scoring scoring
# The project is a wheel made without network by the locked setuptools, which then leaves: it is no run-time need.
RUN PYTHONPATH=/opt/fathomline/lib/python3.13/site-packages \
      python -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m pip --python /opt/fathomline/bin/python install --quiet --no-index --no-deps /wheels/*.whl \
 && python -m pip --python /opt/fathomline/bin/python uninstall --quiet --yes setuptools

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Fathomline" \
      org.opencontainers.image.description="Outcome measurement for therapy" \
      org.opencontainers.image.licenses="Apache-2.0"
# A name for the user as well: PostgreSQL's programs refuse one that has none. Written by hand, for useradd is not
# in every slim base.
RUN echo 'fathomline:x:10001:10001:Fathomline:/data:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'fathomline:x:10001:' >> /etc/group \
 && install -d -m 0700 -o 10001 -g 10001 /data \
 && { python -m pip uninstall --quiet --yes --root-user-action ignore pip || echo "pip belongs to the base's packages; kept"; }
COPY --from=build /opt/fathomline /opt/fathomline
COPY --chmod=0755 deploy/entrypoint.sh /usr/local/bin/entrypoint.sh
ENV PATH=/opt/fathomline/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FATHOMLINE_DATA=/data \
    FATHOMLINE_HOST=0.0.0.0 \
    FATHOMLINE_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# SIGTERM lets requests in flight end, and the embedded server write its checkpoint.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['FATHOMLINE_PORT']}/health/ready\", timeout=4)"]
ENTRYPOINT ["entrypoint.sh"]
CMD ["fathomline", "serve"]
