"""What is known about a mini-batch, as a message."""

from predictq.brokers import Message
from predictq.clock import wire_time
from predictq.messages import BATCH, BATCH_TYPE, SPECVERSION, source_of
from predictq_workers.minibatches import MiniBatch

__all__ = ["BatchRecords"]


class BatchRecords:
    """Writes the records of the mini-batches of one worker process."""

    def __init__(self, *, endpoint: str, deployment: str, model_version: str, worker: str) -> None:
        self._endpoint = endpoint
        self._deployment = deployment
        self._version = model_version
        self._worker = worker

    def record(self, batch: MiniBatch) -> Message:
        """Goes where the batch's first prediction goes."""
        finished_at = wire_time(batch.finished_at)
        value = BATCH.encode(
            {
                "specversion": SPECVERSION,
                "id": batch.batch_id,
                "source": source_of(self._endpoint),
                "time": finished_at,
                "type": BATCH_TYPE,
                "data": {
                    "endpoint": self._endpoint,
                    "deployment": self._deployment,
                    "model_version": self._version,
                    "worker": self._worker,
                    "requests": batch.requests,
                    "size": batch.size,
                    "ingested_at": wire_time(min([work.record.published_at for work in batch.works])),
                    "started_at": wire_time(batch.started_at),
                    "finished_at": finished_at,
                    "status": "succeeded" if not batch.failed else "partial" if batch.failed < batch.size else "failed",
                },
            }
        )
        return Message(batch.works[0].topic, value)
