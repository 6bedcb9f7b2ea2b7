"""The composition of the gateway: producers' write side and the sync service's read side in one ASGI app."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from predictq.brokers.port import Broker, Subscription
from predictq.errors import UserMistake
from predictq.loop import Loop, Stop
from predictq.members import member_name
from predictq.names import Names
from predictq.push.callbacks import CallbackCheck
from predictq.settings import Settings
from predictq.storage import Storage
from predictq_gateway.asyncapi import asyncapi_router
from predictq_gateway.broker_view import BrokerView
from predictq_gateway.endpoints import endpoints_router
from predictq_gateway.openapi import describe_problems
from predictq_gateway.operation import operation_router
from predictq_gateway.page.routes import page_router
from predictq_gateway.probes import probes_router
from predictq_gateway.problems import install_problems
from predictq_gateway.socket.routes import add_socket_route
from predictq_gateway.socket.sockets import Sockets
from predictq_producers.accepting import Accepting
from predictq_producers.claim_check import PayloadWriter
from predictq_producers.events.routes import add_event_route
from predictq_producers.events.rules import Rules
from predictq_producers.events.taking import Taker
from predictq_producers.jobs.routes import add_job_submit_route
from predictq_producers.jobs.submitting import JobMaker
from predictq_producers.publishing import Publisher
from predictq_producers.requests import request_makers
from predictq_producers.routes import add_submit_route
from predictq_sync.database import Database
from predictq_sync.jobs.finding import FindJob
from predictq_sync.jobs.reading import JobReader
from predictq_sync.jobs.result_routes import add_result_routes
from predictq_sync.jobs.results import JobResults
from predictq_sync.jobs.routes import add_job_routes
from predictq_sync.lookup import Lookup
from predictq_sync.operation.letter_routes import add_letter_routes
from predictq_sync.operation.letters import LetterReader
from predictq_sync.operation.questions import Questions
from predictq_sync.operation.routes import add_operation_routes
from predictq_sync.reading import Reader
from predictq_sync.routes import add_read_routes
from predictq_sync.streams.opening import streams_of
from predictq_sync.streams.room import Room
from predictq_sync.streams.routes import add_stream_routes
from predictq_sync.waiting import CommitHandler, Waiting
from predictq_sync.webhooks.delivery_routes import add_delivery_routes
from predictq_sync.webhooks.keeping import WebhookKeeper
from predictq_sync.webhooks.key_routes import add_key_route
from predictq_sync.webhooks.reading import DeliveryReader
from predictq_sync.webhooks.routes import add_webhook_routes
from predictq_sync.webhooks.signing import Signing

__all__ = ["Gateway"]

DESCRIPTION = """
Machine-learning models behind a message queue. Submit a request; it is accepted once the broker holds it durably. Read
its predictions when they are there: by polling, by waiting (`Prefer: wait=N` on the submit, `?wait=N` on the read), or
by following events (Server-Sent Events at `…/events`, or one WebSocket for everything at `/v1/stream`).
"""

log = logging.getLogger(__name__)


class Gateway:
    """The object graph of one gateway; `app` is its ASGI side. Opens and starts nothing before the app does."""

    def __init__(self, settings: Settings, broker: Broker, reader: Reader, database: Database) -> None:
        """`reader` reads requests, `database` is that of jobs."""
        limits = settings.gateway
        names = Names(settings.prefix)
        makers = request_makers(settings, max_message_bytes=broker.max_message_bytes)
        self.limits = limits
        self.mistake: UserMistake | None = None
        """Why this gateway will never be ready, once that is known: the server stops and tells it."""
        self.publisher = Publisher(broker.producer)
        self._payload_writer = PayloadWriter()
        storage = Storage(settings.storage_url(), settings.jobs.storage_options)
        self._waiting = Waiting(reader, poll_seconds=limits.poll_seconds)
        lookup = Lookup(reader, self._waiting)
        job_reader = JobReader(database)
        find_job = FindJob(job_reader, lookup)
        self._streams = streams_of(
            database,
            reader,
            lookup,
            self._waiting,
            find_job,
            job_reader,
            endpoints=makers,
            settings=limits,
        )
        room = Room(limits.max_streams)
        accepting = Accepting(self.publisher, self._payload_writer, self._waiting.hash_of)
        self._sockets = Sockets(self._streams, makers, accepting, room, limits)
        self._view = BrokerView(broker, settings)
        self._commits = Loop(
            name="commits",
            broker=broker,
            subscription=Subscription(topics=(names.commits,), member=member_name()),
            handler=CommitHandler(self._waiting, self._streams.wake),
        )
        self.app = FastAPI(
            title="predictq",
            version=version("predictq-gateway"),
            description=DESCRIPTION,
            lifespan=self._lifespan,
            docs_url=None,  # its pages load their scripts from elsewhere, and are blank where that cannot be reached
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        add_submit_route(
            self.app.router,
            makers,
            accepting,
            self._waiting,
            max_body_bytes=limits.max_body_bytes,
            max_wait_seconds=limits.max_wait_seconds,
        )
        add_read_routes(
            self.app.router,
            lookup,
            self._waiting,
            self.publisher.hint,
            names=names,
            max_wait_seconds=limits.max_wait_seconds,
        )
        job_maker = JobMaker(names, makers, settings.jobs, callbacks=CallbackCheck(settings.push))
        add_event_route(
            self.app.router,
            Taker(makers, Rules(settings.rules, job_maker)),
            self.publisher,
            self._payload_writer,
            max_body_bytes=limits.max_body_bytes,
        )
        add_job_submit_route(
            self.app.router,
            job_maker,
            self.publisher,
            storage,
            find_job.hash_of,
            max_upload_bytes=settings.jobs.max_upload_bytes,
        )
        add_job_routes(self.app.router, job_reader, find_job, self.publisher.hint, names=names)
        add_result_routes(self.app.router, JobResults(database, storage), find_job)
        add_webhook_routes(
            self.app.router,
            WebhookKeeper(database, rotation_seconds=settings.push.rotation_seconds),
            targets=settings.push.targets(),
            endpoints=settings.endpoints,
        )
        add_delivery_routes(self.app.router, DeliveryReader(database))
        add_key_route(self.app.router, Signing(settings.push).public_keys)
        add_stream_routes(self.app.router, self._streams, room, send_seconds=limits.stream_send_seconds)
        add_socket_route(self.app.router, self._sockets)
        self.app.include_router(endpoints_router(settings, makers, self._view))
        self.app.include_router(probes_router(self._view))
        self.app.include_router(asyncapi_router(settings))
        if limits.page:
            questions = Questions()
            deployments = {endpoint: tuple(settings.deployments_of(endpoint)) for endpoint in settings.endpoints}
            self.app.include_router(operation_router(settings, self._view, database, questions))
            add_operation_routes(self.app.router, database, lookup, questions, names=names, deployments=deployments)
            add_letter_routes(self.app.router, LetterReader(database, names), questions, endpoints=deployments)
            self.app.include_router(page_router())
        install_problems(self.app)
        describe_problems(self.app)

    def release(self) -> None:
        """Let everyone go who waits for a result or follows events: the server is about to stop."""
        self._waiting.close()
        self._streams.close()
        self._sockets.close()

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        stop = Stop()
        listener = threading.Thread(target=self._listen, args=(stop,), name="commits", daemon=True)
        self.publisher.start()
        starting = asyncio.create_task(self._start(listener))
        try:
            yield
        finally:
            self.release()
            starting.cancel()
            stop.set()
            await self._payload_writer.close()
            await self.publisher.close()
            if listener.is_alive():
                await asyncio.to_thread(listener.join)
            self._view.close()

    async def _start(self, listener: threading.Thread) -> None:
        # In the background: with the broker away the process serves what it can, and says that it is not ready.
        try:
            await self._view.ensure()
        except UserMistake as error:
            self.mistake = error
        except Exception:
            log.exception("topics and groups cannot be ensured")
        else:
            listener.start()

    def _listen(self, stop: Stop) -> None:
        try:
            self._commits.run(stop)
        except Exception:
            log.exception("commits are heard no longer; waiters find their results by reading now and then")
