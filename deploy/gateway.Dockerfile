# The HTTP process. No model library.
#
#   docker build --file deploy/gateway.Dockerfile --build-arg PROJECT=my-project --tag my-gateway .
#
# PROJECT is a folder of the build context with predictq.toml and the schemas that it names.

# The Python that the tests run on.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/predictq
COPY constraints.txt ./
COPY core core
COPY producers producers
COPY sync_service sync_service
COPY gateway gateway
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/predictq/bin/python install --constraint constraints.txt \
        './core[confluent,kafka,rabbitmq,redis,s3]' ./producers './sync_service[postgresql]' ./gateway

FROM python:${PYTHON}
ARG PROJECT
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin predictq \
    && install --directory --owner predictq --group predictq /var/lib/predictq
COPY --from=build /opt/predictq /opt/predictq
COPY ${PROJECT} /srv/predictq
ENV PATH=/opt/predictq/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PREDICTQ_JOBS__STORAGE=file:///var/lib/predictq/storage \
    PREDICTQ_GATEWAY__HOST=0.0.0.0
WORKDIR /srv/predictq
USER 10001:10001
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8700/readyz', timeout=4)"]
ENTRYPOINT ["predictq"]
CMD ["gateway"]
