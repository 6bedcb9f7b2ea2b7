"""What this installation serves: `GET /v1/endpoints` and `GET /v1/endpoints/{endpoint}`."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from predictq.settings import DeploymentSettings, Settings
from predictq_gateway.broker_view import BrokerView, GroupState
from predictq_gateway.progress import Lag, State, lag_of, state_of
from predictq_producers.requests import RequestMaker, maker_of

__all__ = ["endpoints_router"]


class Deployment(BaseModel):
    """A deployment that answers clients."""

    name: str
    version: str
    role: Literal["live", "canary"]
    of: str | None = Field(default=None, description="Canary: whose requests it answers a share of.")
    share: float | None = None


class DeploymentState(Deployment):
    """A deployment and how it is doing."""

    state: State
    lag: Lag


class Limits(BaseModel):
    """What one request may hold."""

    max_instances: int
    max_body_bytes: int


class Endpoint(BaseModel):
    """A named stream of prediction requests."""

    name: str
    description: str
    deployments: list[Deployment]


class Endpoints(BaseModel):
    """All endpoints."""

    endpoints: list[Endpoint]


class EndpointDetail(BaseModel):
    """An endpoint with all that a client needs to know."""

    name: str
    description: str
    input: dict[str, Any] | None = Field(
        serialization_alias="schema", description="JSON Schema (2020-12) of one instance; null where anything goes."
    )
    limits: Limits
    deployments: list[DeploymentState]


def endpoints_router(settings: Settings, makers: Mapping[str, RequestMaker], view: BrokerView) -> APIRouter:
    """The routes that say what is served. Shadows are left out: clients never see them."""
    router = APIRouter(tags=["endpoints"])

    @router.get("/v1/endpoints", summary="List the endpoints", operation_id="list_endpoints")
    async def list_endpoints() -> Endpoints:
        """Every endpoint with the deployments that answer its requests."""
        found = [
            Endpoint(
                name=name,
                description=spec.description,
                deployments=[_deployment(each, d) for each, d in _visible(settings, name).items()],
            )
            for name, spec in settings.endpoints.items()
        ]
        return Endpoints(endpoints=found)

    @router.get(
        "/v1/endpoints/{endpoint}",
        summary="Show an endpoint",
        operation_id="show_endpoint",
        responses={404: {"description": "No such endpoint."}, 503: {"description": "The broker is away."}},
    )
    async def show_endpoint(endpoint: str) -> EndpointDetail:
        """Schema of an instance, limits, and how the deployments are doing."""
        maker = maker_of(makers, endpoint)
        spec = settings.endpoints[endpoint]
        states = [
            _state(_deployment(name, d), await view.group(endpoint, name))
            for name, d in _visible(settings, endpoint).items()
        ]
        schema = maker.check.json_schema
        return EndpointDetail(
            name=endpoint,
            description=spec.description,
            input=None if schema is None else dict(schema),
            limits=Limits(max_instances=spec.max_instances, max_body_bytes=settings.gateway.max_body_bytes),
            deployments=states,
        )

    return router


def _visible(settings: Settings, endpoint: str) -> dict[str, DeploymentSettings]:
    return {name: d for name, d in settings.deployments_of(endpoint).items() if d.role != "shadow"}


def _deployment(name: str, deployment: DeploymentSettings) -> Deployment:
    role: Literal["live", "canary"] = "canary" if deployment.role == "canary" else "live"
    return Deployment(name=name, version=deployment.version, role=role, of=deployment.of, share=deployment.share)


def _state(deployment: Deployment, group: GroupState) -> DeploymentState:
    return DeploymentState(**deployment.model_dump(), state=state_of(group), lag=lag_of(group))
