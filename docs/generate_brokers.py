"""Writes the tables of `docs/brokers.md` from what the adapters say of themselves; `--check` only compares."""

import sys
from dataclasses import fields
from pathlib import Path

from model_tables import docstrings_of, rewrite, table_of
from pydantic import BaseModel

from predictq.brokers import open_broker
from predictq.brokers.amqp.options import Options as AmqpOptions
from predictq.brokers.kafka.options import Options as KafkaOptions
from predictq.brokers.port import Guarantees
from predictq.brokers.redis.options import Options as RedisOptions

PAGE = Path(__file__).parent / "brokers.md"
COLUMNS = {
    "embedded": "sqlite:///predictq.db",
    "Redis": "redis://localhost",
    "RabbitMQ": "amqp://localhost",
    "Kafka": "kafka://localhost",
    "Kafka, `transactions=true`": "kafka://localhost?transactions=true",
}
PROVEN_BY = {
    "atomic_settle": "test_the_settle_of_a_member_that_lost_its_claim_writes_nothing",
    "ordered": "test_messages_of_one_key_keep_their_order",
    "replays": "test_a_new_group_may_start_at_the_beginning",
    "exact_redeliveries": "test_only_what_was_in_its_hands_is_counted",
    "exact_lag": "test_the_lag_at_every_step",
    "claims_outlive_their_time": "test_a_claim_that_ran_out_and_nobody_took_is_good_or_lost_but_never_both",
    "retention": "test_what_all_groups_have_settled_is_trimmed_after_its_retention",
    "hold_seconds": "test_extending_keeps_a_claim_for_as_long_as_it_takes",
    "batches_in_hand": "test_no_more_batches_may_be_in_hand_than_it_says",
}
"""Of the contract suite, which holds every adapter to what it says."""
OPTIONS: dict[str, type[BaseModel]] = {"redis": RedisOptions, "amqp": AmqpOptions, "kafka": KafkaOptions}
FROM_THE_ADDRESS = {"servers", "username", "password"}


def guarantees() -> str:
    """A line for each field of Guarantees, with its value on every broker."""
    found = [open_broker(url).guarantees for url in COLUMNS.values()]
    meanings = docstrings_of(Guarantees)
    lines = [_line("", *COLUMNS, "held to it by"), _line(*["---"] * (len(COLUMNS) + 2))]
    for field in fields(Guarantees):
        cells = [_cell(getattr(one, field.name)) for one in found]
        lines.append(_line(f"`{field.name}`. {meanings[field.name]}", *cells, f"`{PROVEN_BY[field.name]}`"))
    return "\n".join(lines) + "\n"


def limits() -> str:
    """The largest message of each broker, with its default options."""
    lines = [_line("", *COLUMNS), _line(*["---"] * (len(COLUMNS) + 1))]
    sizes = [f"{open_broker(url).max_message_bytes:,}" for url in COLUMNS.values()]
    lines.append(_line("largest message, bytes", *sizes))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: bool | str | float | None) -> str:
    if value is None:
        return "for ever"
    if isinstance(value, bool):
        return "**yes**" if value else "no"
    if isinstance(value, int):
        return f"{value}"
    return f'"{value}"' if isinstance(value, str) else f"{value:,.0f} s"


if __name__ == "__main__":
    tables = {"guarantees": guarantees(), "limits": limits()}
    tables |= {f"{name} options": table_of(model, leave_out=FROM_THE_ADDRESS) for name, model in OPTIONS.items()}
    sys.exit(rewrite(PAGE, tables, writer="docs/generate_brokers.py", check="--check" in sys.argv))
