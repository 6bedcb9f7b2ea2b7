"""`predictq deliveries`: list and replay."""

from collections.abc import Sequence

from predictq.cli.output import emit_json, emit_table, say
from predictq.errors import UserMistake
from predictq.settings import Settings
from predictq_sync.database import opened
from predictq_sync.webhooks.reading import DeliveryBody, DeliveryReader

__all__ = ["list_deliveries", "replay_deliveries"]

PAGE = 500


def list_deliveries(settings: Settings, *, state: str | None, webhook: str | None, limit: int, as_json: bool) -> None:
    """The latest ones that the filters leave."""
    with opened(settings.database_url()) as database:
        found = DeliveryReader(database).page(state=state, webhook=webhook, limit=limit)["deliveries"]
    if as_json:
        emit_json(found)
        return
    rows = [
        (each["id"], each["created_at"], each["event"], each["subject"], each["state"], each["attempts"], _last(each))
        for each in found
    ]
    emit_table(("id", "created at", "event", "subject", "state", "attempts", "last error"), rows)


def replay_deliveries(
    settings: Settings, ids: Sequence[str] | None, *, every: bool, webhook: str | None, as_json: bool
) -> None:
    """Deliver those again, or with `every` all that failed."""
    if bool(ids) == every:
        raise UserMistake("name the ids of deliveries, or --all for all that failed")
    with opened(settings.database_url()) as database:
        reader = DeliveryReader(database)
        wanted = list(ids or ()) or _failed(reader, webhook)
        absent = [each for each in wanted if reader.replay(each) is None]
    if absent:
        raise UserMistake(f"{', '.join(absent)}: there is no such delivery")
    if as_json:
        emit_json({"replayed": wanted})
    else:
        say(f"{len(wanted)} to be delivered again")


def _failed(reader: DeliveryReader, webhook: str | None) -> list[str]:
    ids: list[str] = []
    cursor = None
    while True:
        page = reader.page(state="failed", webhook=webhook, cursor=cursor, limit=PAGE)
        ids += [each["id"] for each in page["deliveries"]]
        cursor = page["next"]
        if cursor is None:
            return ids


def _last(delivery: DeliveryBody) -> str:
    history = delivery["history"]
    return (history[-1]["error"] or "") if history else ""
