"""`/healthz` and `/readyz`."""

import logging

from fastapi import APIRouter, Response
from pydantic import BaseModel

from predictq_gateway.broker_view import BrokerView
from predictq_gateway.problems import Problem

__all__ = ["probes_router"]

log = logging.getLogger(__name__)


class Alive(BaseModel):
    """The process lives."""

    status: str = "ok"


def probes_router(view: BrokerView) -> APIRouter:
    """The routes that a supervisor or a load balancer asks."""
    router = APIRouter(tags=["probes"])

    @router.get("/healthz", summary="Whether the process lives", operation_id="healthz")
    async def healthz() -> Alive:
        """Answers as long as the process does."""
        return Alive()

    @router.get(
        "/readyz",
        summary="Whether requests can be accepted",
        operation_id="readyz",
        response_model=Alive,
        responses={503: {"description": "The broker is away."}},
    )
    async def readyz() -> Alive | Response:
        """Ready while the broker is: accepting a request needs nothing else."""
        health = await view.health()
        if health.ok:
            return Alive()
        log.warning("not ready: %s", health.detail)
        return Problem(503, "the broker is not ready; the log says why").response

    return router
