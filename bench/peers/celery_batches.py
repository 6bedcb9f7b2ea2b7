"""celery-batches on Redis or RabbitMQ: a task that gets up to 500 calls at once, its results published by kombu.

`celery_batches.py URL NAME MODEL` reads until it is ended; with MESSAGES COUNT it fills the queue instead. On RabbitMQ
the queues are quorum queues, and with $CONFIRMS each result is confirmed.
"""

import os
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from celery import Celery
from celery_batches import Batches, SimpleRequest
from kombu import Exchange, Queue

from answering import BATCH, load, predict, settle_memory

FLUSH_SECONDS = 1


def application(url: str, name: str, model_file: str) -> tuple[Celery, Any]:
    app = Celery("bench", broker=url)
    quorum = {"x-queue-type": "quorum"} if url.startswith("amqp") else None
    requests, predictions = f"{name}.requests", f"{name}.predictions"
    app.conf.update(
        task_queues=[Queue(requests, Exchange(requests), requests, queue_arguments=quorum)],
        task_default_queue=requests,
        task_default_exchange=requests,
        task_default_routing_key=requests,
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=2 * BATCH,
        broker_transport_options={"confirm_publish": True} if os.environ.get("CONFIRMS") else {},
        worker_hijack_root_logger=False,
    )
    output = Queue(predictions, Exchange(predictions), predictions, queue_arguments=quorum)
    loaded: list[Any] = []

    @app.task(base=Batches, flush_every=BATCH, flush_interval=FLUSH_SECONDS, name="predict")
    def work(calls: list[SimpleRequest]) -> None:
        if not loaded:
            loaded.append(load(model_file))
            settle_memory()
        values = predict([call.args[0].encode() for call in calls], loaded[0])
        with app.producer_or_acquire() as producer:
            for value in values:
                producer.publish(
                    value,
                    exchange=output.exchange,
                    routing_key=predictions,
                    declare=[output],
                    content_type="application/data",
                    content_encoding="binary",
                    delivery_mode=2,
                )

    return app, work


def fill(app: Celery, work: Any, messages: Path, count: int) -> None:
    with messages.open() as lines, app.producer_or_acquire() as producer:
        for line in islice(lines, count):
            work.apply_async((line.rstrip("\n"),), producer=producer)


if __name__ == "__main__":
    url, name, model_file, *filling = sys.argv[1:]
    app, work = application(url, name, model_file)
    if filling:
        fill(app, work, Path(filling[0]), int(filling[1]))
    else:
        app.worker_main(["worker", "--pool", "solo", "--loglevel", "warning", "--without-gossip", "--without-mingle"])
