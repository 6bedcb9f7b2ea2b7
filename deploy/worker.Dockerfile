# A worker that carries its models. No web framework.
#
#   docker build --file deploy/worker.Dockerfile --build-arg PROJECT=my-project --tag my-worker .
#   docker run my-worker tumours-linear
#
# PROJECT is a folder of the build context with predictq.toml and the models that it names; a requirements.txt in it is
# installed too, for models of your own.

# The Python that the tests run on.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/predictq
COPY constraints.txt ./
COPY core core
COPY workers workers
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/predictq/bin/python install --constraint constraints.txt \
        './core[confluent,kafka,rabbitmq,redis]' ./workers
ARG PROJECT
COPY ${PROJECT} /project
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -f /project/requirements.txt ]; then \
        pip --python /opt/predictq/bin/python install --requirement /project/requirements.txt; \
    fi

FROM python:${PYTHON}
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin predictq \
    && install --directory --owner predictq --group predictq /var/lib/predictq
COPY --from=build /opt/predictq /opt/predictq
COPY --from=build /project /srv/predictq
ENV PATH=/opt/predictq/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PREDICTQ_JOBS__STORAGE=file:///var/lib/predictq/storage
WORKDIR /srv/predictq
USER 10001:10001
ENTRYPOINT ["predictq", "worker"]
CMD ["--help"]
