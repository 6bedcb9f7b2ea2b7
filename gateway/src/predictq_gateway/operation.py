"""How this installation is doing: `GET /v1/status` and `GET /v1/deployments`, for operators."""

import asyncio
import time
from importlib.metadata import version

from fastapi import APIRouter
from pydantic import BaseModel, Field

from predictq.clock import wire_time
from predictq.errors import BrokerUnavailable
from predictq.settings import Settings
from predictq_gateway.broker_view import BrokerView
from predictq_gateway.progress import Lag, State, lag_of, state_of
from predictq_sync.database import Database
from predictq_sync.operation.health import DatabaseHealth, database_health
from predictq_sync.operation.questions import Questions

__all__ = ["operation_router"]

ANSWER_SECONDS = 2.0
"""How long a page waits for a database that does not say whether it is there."""
LAG_SECONDS = 10.0


class Part(BaseModel):
    """Something that the installation stands on."""

    kind: str = Field(description="Scheme of its URL.")
    ok: bool
    detail: str = Field(description="What answers, or why nothing does.")


class LedgerState(BaseModel):
    """The ledger, of all sync services together."""

    behind_seconds: float | None = Field(
        description="How long ago it was that it held everything; null where none ever ran, or nobody can tell."
    )


class Status(BaseModel):
    """The installation as this gateway sees it."""

    version: str
    at: str
    broker: Part
    database: Part
    ledger: LedgerState


class DeploymentOfAll(BaseModel):
    """A deployment and how it is doing, shadows too."""

    name: str
    endpoint: str
    version: str
    role: str = Field(description="live, canary or shadow.")
    of: str | None = Field(description="Canary: whose requests it answers a share of.")
    share: float | None
    state: State
    members: int | None = Field(description="Worker processes; null where the broker cannot tell.")
    lag: Lag


class Deployments(BaseModel):
    """All deployments, in the order of the settings."""

    at: str
    deployments: list[DeploymentOfAll]


def operation_router(settings: Settings, view: BrokerView, database: Database, questions: Questions) -> APIRouter:
    """The routes. However many pages are open, broker and database are asked about once a second."""
    router = APIRouter(tags=["operation"])

    async def health_of_database() -> DatabaseHealth:
        asked = questions.shared("database", lambda: questions.read(lambda: database_health(database)))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asked
        except TimeoutError:
            return DatabaseHealth(False, f"the database did not answer within {ANSWER_SECONDS:g} s")

    async def states() -> Deployments:
        deployments = settings.deployments.items()
        try:
            async with asyncio.timeout(LAG_SECONDS):
                # One by one: whoever asks for the broker's health gets a turn in between.
                groups = [await view.group(each.endpoint, name) for name, each in deployments]
        except TimeoutError:
            raise BrokerUnavailable(f"the broker did not tell lags within {LAG_SECONDS:g} s") from None
        return Deployments(
            at=wire_time(time.time()),
            deployments=[
                DeploymentOfAll(
                    name=name,
                    **each.model_dump(include={"endpoint", "version", "role", "of", "share"}),
                    state=state_of(group),
                    members=group.members,
                    lag=lag_of(group),
                )
                for (name, each), group in zip(deployments, groups, strict=True)
            ],
        )

    @router.get("/v1/status", summary="How the installation is doing", operation_id="show_status")
    async def show_status() -> Status:
        """Whether broker and database answer, and how far the ledger is. Answers when they do not, too."""
        broker, found = await asyncio.gather(questions.shared("broker", view.health), health_of_database())
        return Status(
            version=version("predictq-gateway"),
            at=wire_time(time.time()),
            broker=Part(kind=_scheme(settings.broker), ok=broker.ok, detail=broker.detail),
            database=Part(kind=database.dialect, ok=found.ok, detail=found.detail),
            ledger=LedgerState(behind_seconds=found.behind_seconds),
        )

    @router.get(
        "/v1/deployments",
        summary="List the deployments",
        operation_id="list_deployments",
        responses={503: {"description": "The broker is away."}},
    )
    async def list_deployments() -> Deployments:
        """Every deployment with its role, whether it has workers, and how far it is behind."""
        return await questions.shared("deployments", states)

    return router


def _scheme(url: str) -> str:
    return url.partition(":")[0]
