"""Names of topics and groups: the only module that spells them."""

from dataclasses import dataclass

__all__ = ["NAME_PATTERN", "RESERVED_ENDPOINT", "Names", "dead_letters_of", "endpoint_of", "is_retries"]

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,47}$"
RESERVED_ENDPOINT = "sync"
"""A deployment `ledger` of it would have the name of the sync service's own group."""


@dataclass(frozen=True, slots=True)
class Names:
    """Topics and groups under one prefix."""

    prefix: str = "predictq"

    def requests(self, endpoint: str) -> str:
        """Requests as they were submitted."""
        return f"{self.prefix}.{endpoint}.requests"

    def bulk(self, endpoint: str) -> str:
        """Requests cut from jobs; read only while `requests` is empty."""
        return f"{self.prefix}.{endpoint}.bulk"

    def retries(self, endpoint: str, deployment: str) -> str:
        """Delayed retries, isolated records and redrives of one deployment."""
        return f"{self.prefix}.{endpoint}.retries.{deployment}"

    def predictions(self, endpoint: str) -> str:
        """Predictions and mini-batch records of visible deployments."""
        return f"{self.prefix}.{endpoint}.predictions"

    def shadow_predictions(self, endpoint: str) -> str:
        """The same of shadow deployments."""
        return f"{self.prefix}.{endpoint}.shadow-predictions"

    def dead_letters(self, endpoint: str) -> str:
        """What one group will not see again, with the reason."""
        return f"{self.prefix}.{endpoint}.dead-letters"

    def intake(self, endpoint: str) -> str:
        """Foreign messages, to be given an id and made requests."""
        return f"{self.prefix}.{endpoint}.intake"

    def jobs(self, endpoint: str) -> str:
        """Jobs and the chunks that they are cut into."""
        return f"{self.prefix}.{endpoint}.jobs"

    @property
    def commits(self) -> str:
        """Hints: ids that have just become readable (broadcast)."""
        return f"{self.prefix}.commits"

    @property
    def cancels(self) -> str:
        """Hints: ids not worth predicting any more (broadcast)."""
        return f"{self.prefix}.cancels"

    def workers(self, endpoint: str, deployment: str) -> str:
        """The group of a deployment's workers."""
        return f"{self.prefix}.{endpoint}.{deployment}"

    def readers(self, endpoint: str, name: str) -> str:
        """A group of somebody else's, who reads predictions."""
        return f"{self.prefix}.{endpoint}.readers.{name}"

    @property
    def ledger_group(self) -> str:
        """The sync service's group on requests."""
        return f"{self.prefix}.sync.ledger"

    @property
    def store_group(self) -> str:
        """The sync service's group on predictions."""
        return f"{self.prefix}.sync.predictions"

    @property
    def dead_letters_group(self) -> str:
        """The sync service's group on dead letters."""
        return f"{self.prefix}.sync.dead-letters"

    @property
    def intake_group(self) -> str:
        """The producers' group on foreign messages."""
        return f"{self.prefix}.intake"

    @property
    def planner_group(self) -> str:
        """The producers' group that splits the files of jobs into chunks."""
        return f"{self.prefix}.planner"

    @property
    def cutter_group(self) -> str:
        """The producers' group that cuts chunks into requests."""
        return f"{self.prefix}.cutter"


def endpoint_of(topic: str) -> str:
    """Name of the endpoint whose topic this is, e.g. `fraud` of `predictq.fraud.requests`."""
    return topic.split(".", 2)[1]


def dead_letters_of(topic: str) -> str:
    """Name of the dead-letters topic beside `topic`."""
    prefix, endpoint, _ = topic.split(".", 2)
    return Names(prefix).dead_letters(endpoint)


def is_retries(topic: str) -> bool:
    """Whether it holds the delayed retries of one deployment, e.g. `predictq.fraud.retries.linear`."""
    return topic.split(".", 3)[2:3] == ["retries"]
