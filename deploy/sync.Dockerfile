# The sync service: ledger, predictions, dead letters. No model library, no web framework.
#
#   docker build --file deploy/sync.Dockerfile --build-arg PROJECT=my-project --tag my-sync .
#
# PROJECT is a folder of the build context with predictq.toml and the classes of its sinks.

# The Python that the tests run on.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/predictq
COPY constraints.txt ./
COPY core core
COPY sync_service sync_service
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/predictq/bin/python install --constraint constraints.txt \
        './core[confluent,kafka,rabbitmq,redis,s3]' './sync_service[postgresql]'

FROM python:${PYTHON}
ARG PROJECT
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin predictq \
    && install --directory --owner predictq --group predictq /var/lib/predictq
COPY --from=build /opt/predictq /opt/predictq
COPY ${PROJECT} /srv/predictq
ENV PATH=/opt/predictq/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PREDICTQ_JOBS__STORAGE=file:///var/lib/predictq/storage
WORKDIR /srv/predictq
USER 10001:10001
ENTRYPOINT ["predictq"]
CMD ["sync"]
