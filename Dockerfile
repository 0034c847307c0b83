# Image for all environments. It contains no pip, no compiler and no caches.
# The digest is also in compose.yaml. `docker buildx imagetools inspect python:3.13-slim` prints the current digest.
ARG BASE_IMAGE=python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE_IMAGE} AS build
COPY requirements.txt /
RUN python3 -m venv --without-pip /venv \
 && python3 -m pip --python /venv/bin/python3 install --no-cache-dir --no-compile --disable-pip-version-check \
      --root-user-action=ignore --require-hashes --only-binary :all: -r /requirements.txt
# botocore has 28 MB of data for all AWS services; DynamoDB, SES and the credential providers only need these.
RUN packages=$(echo /venv/lib/python3*/site-packages) \
 && find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
      ! -name dynamodb ! -name sesv2 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} + \
 && rm -rf "$packages"/gevent/test* "$packages"/greenlet/tests \
 && python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash /venv/lib
COPY app /srv/app
# With a strict umask, files in a clone are only readable by their owner.
RUN chmod -R a+rX /srv/app && python3 -m compileall -q --invalidation-mode unchecked-hash /srv/app

FROM ${BASE_IMAGE}
# The base image has no bytecode of the standard library. On a read-only root file system, every start would
# compile it again. Without bytecode, start-up on a quarter of a core takes 8.2 s instead of 2.6 s.
RUN python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash \
      -x '/(site-packages|test|idlelib|ensurepip|pydoc_data)/' /usr/local/lib/python3* \
 && mkdir /data && chown 10001:10001 /data
COPY --from=build /venv /venv
COPY --from=build /srv/app /srv/app
# The default store; mount a volume at /data to keep comments when the container is removed.
RUN ln -s /data /srv/app/data
# SQLite and Python need a folder for temporary files, also on a read-only root file system.
ENV TMPDIR=/data
# Shown by /status: the last commit that changed the image.
ARG COMMENTS_COMMIT=""
ENV COMMENTS_COMMIT=$COMMENTS_COMMIT PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /srv/app
# Numeric, so that tools can verify without /etc/passwd that it isn't root.
USER 10001:10001
EXPOSE 8000
# For compose; ECS uses the load balancer's health check instead. -S and -E reduce the CPU time of each check.
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=5 CMD ["python3", "-S", "-E", "healthcheck.py"]
CMD ["python3", "serve.py", "--bind", "0.0.0.0:8000"]
