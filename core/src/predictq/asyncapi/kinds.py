"""What each kind of topic is for: which messages are on it, who sends them, who receives them."""

from collections.abc import Mapping
from dataclasses import dataclass

from predictq.names import Names
from predictq.settings import Settings

__all__ = ["Kind", "kinds_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of topic."""

    summary: str
    messages: tuple[str, ...]
    """Their names among the components of the document."""
    sent_by: str | None
    """Parts of predictq; None where only others send."""
    received_by: str
    """Parts of predictq."""
    is_open: bool = False
    """It is made for the programs of others; the rest is how predictq's parts speak with one another."""


_WORKERS = "the workers of each deployment, as a group of their own, and the ledger of the sync service"
REQUESTS = Kind(
    summary="Requests as they were submitted.",
    messages=("request",),
    sent_by="the gateway, the intake, and clients that go without a gateway",
    received_by=_WORKERS,
)
BULK = Kind(
    summary="Requests that may wait, cut from jobs: workers poll them only while the others are done.",
    messages=("request",),
    sent_by="the cutter",
    received_by=_WORKERS,
)
RETRIES = Kind(
    summary="Delayed retries, isolated records and redrives of one deployment. Kafka has a topic for each delay.",
    messages=("retry",),
    sent_by="the deployment's workers, and whoever redrives a dead letter",
    received_by="the deployment's workers",
)
PREDICTIONS = Kind(
    summary="Predictions and mini-batch records of the visible deployments, for whoever likes to read them.",
    messages=("prediction", "batch"),
    sent_by="the workers of the visible deployments",
    received_by="the sync service",
    is_open=True,
)
SHADOWS = Kind(
    summary="Predictions and mini-batch records of shadow deployments.",
    messages=("prediction", "batch"),
    sent_by="the workers of shadow deployments",
    received_by="the sync service",
)
DEAD_LETTERS = Kind(
    summary="Messages that one group will not see again: their bytes as they came, the reason in the headers.",
    messages=("deadLetter",),
    sent_by="whichever part gave a message up",
    received_by="the sync service",
)
INTAKE = Kind(
    summary="Messages of others, to be made requests or jobs.",
    messages=("foreign",),
    sent_by=None,
    received_by="the intake",
    is_open=True,
)
JOBS = Kind(
    summary="Jobs, and the chunks that their files are cut into.",
    messages=("job", "chunk"),
    sent_by="the gateway, the planner, the cutter, and clients that go without a gateway",
    received_by="the planner, the cutter, and the ledger of the sync service",
)
COMMITS = Kind(
    summary="Hints: requests that have just become readable as finished. One that is lost costs latency alone.",
    messages=("commit",),
    sent_by="the sync service",
    received_by="every gateway, without a group",
)
CANCELS = Kind(
    summary="Hints: requests that are not worth predicting any more. One that is lost costs wasted work alone.",
    messages=("cancel",),
    sent_by="the gateway",
    received_by="every worker and cutter, without a group",
)


def kinds_of(settings: Settings) -> Mapping[str, Kind]:
    """The kind of each topic of the settings, by the topic's name."""
    names = Names(settings.prefix)
    kinds = {names.commits: COMMITS, names.cancels: CANCELS}
    for endpoint in settings.endpoints:
        kinds |= {
            names.requests(endpoint): REQUESTS,
            names.bulk(endpoint): BULK,
            names.predictions(endpoint): PREDICTIONS,
            names.shadow_predictions(endpoint): SHADOWS,
            names.dead_letters(endpoint): DEAD_LETTERS,
            names.intake(endpoint): INTAKE,
            names.jobs(endpoint): JOBS,
        }
    return kinds | {names.retries(each.endpoint, name): RETRIES for name, each in settings.deployments.items()}
