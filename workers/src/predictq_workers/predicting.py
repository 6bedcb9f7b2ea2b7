"""The step between poll and settle: requests in, predictions out."""

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from predictq.brokers import Dead, Done, Message, Record, Retry, Verdict
from predictq.clock import wire_time
from predictq.errors import BadMessage
from predictq.ids import new_id
from predictq.loop import Limits, Outcome
from predictq.messages import REQUEST, InstanceError, RequestEvent
from predictq.payloads import Payloads
from predictq.settings import DeploymentSettings
from predictq_workers.answers import Answers
from predictq_workers.batch_records import BatchRecords
from predictq_workers.calling import Calls
from predictq_workers.minibatches import MiniBatch, Work, cut
from predictq_workers.model import INVALID_INPUT, NO_FAILURES, Checked, Failure, Servable
from predictq_workers.poll_size import PollSize
from predictq_workers.selecting import Selection, prediction_key

__all__ = ["Predicting"]

log = logging.getLogger(__name__)


class Predicting:
    """The worker's handler: selects, validates, predicts in mini-batches and answers."""

    def __init__(
        self,
        *,
        settings: DeploymentSettings,
        model: Servable,
        calls: Calls,
        selection: Selection,
        answers: Answers,
        batch_records: BatchRecords,
        payloads: Payloads,
        max_payload_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._model = model
        self._calls = calls
        self._selection = selection
        self._answers = answers
        self._batch_records = batch_records
        self._payloads = payloads
        self._max_payload_bytes = max_payload_bytes
        self._clock = clock
        self._poll_size = PollSize(
            max_batch_size=settings.max_batch_size, max_wait_seconds=settings.max_batch_wait_seconds
        )

    def limits(self) -> Limits:
        """About one mini-batch."""
        return self._poll_size.limits()

    def handle(self, records: Sequence[Record]) -> Outcome:
        """One verdict for each record, and a batch record for each mini-batch.

        Raises StorageUnavailable.
        """
        works, inputs, verdicts, referring = self._selection.select(records, self._clock())
        also: list[Message] = []
        count = inputs.count
        # First, so that with the storage away nothing was predicted in vain; one by one, for each may be large.
        for work in referring:
            count += self._serve_referring(work, verdicts, also)
        if count:
            size_bytes = sum([len(record[3]) for record in records])
            self._poll_size.saw(requests=len(works) + len(referring), instances=count, size_bytes=size_bytes)
        if works:
            self._serve(works, inputs.checked(self._model), verdicts, also)
        return Outcome(verdicts, also)

    def buried(self, record: Record, reason: str) -> Sequence[Message]:
        """A `failed` prediction, where the request can be read and an answer is owed."""
        try:
            request = REQUEST.decode(record.value)
        except BadMessage:
            return ()
        topic = self._selection.topic_of(request)
        if topic is None:
            return ()
        return (self._gave_up(record, request, topic, "dead_letter", reason, wire_time(self._clock())),)

    def tick(self) -> None:
        """Nothing to keep house for."""

    def _serve(self, works: Sequence[Work], checked: Checked, verdicts: list[Verdict], also: list[Message]) -> None:
        """Put the verdicts on these requests in their places, and the records of their mini-batches into `also`."""
        for together in cut(works, self._settings.max_batch_size):
            batch = self._predict(together, checked)
            self._answer(batch, verdicts)
            if batch.size:
                also.append(self._batch_records.record(batch))

    def _serve_referring(self, work: Work, verdicts: list[Verdict], also: list[Message]) -> int:
        """Fetch the instances of a request and serve it by itself; how many there were."""
        request = work.request
        try:
            instances = self._payloads.read(
                request["dataref"], request["data"]["instances_hash"], max_bytes=self._max_payload_bytes
            )
        except BadMessage as error:
            reason, now = str(error), wire_time(self._clock())
            log.warning("request %s is dead: %s", request["id"], reason)
            failed = self._gave_up(work.record, request, work.topic, "unreadable_dataref", reason, now)
            verdicts[work.at] = Dead(reason, (failed,))
            return 0
        self._serve([work._replace(stop=len(instances))], self._model.check(instances), verdicts, also)
        return len(instances)

    def _predict(self, works: Sequence[Work], checked: Checked) -> MiniBatch:
        """The calls of one mini-batch, on those of its instances that passed their check."""
        first, end = works[0].start, works[-1].stop
        invalid = {at: failure for at, failure in checked.failures.items() if first <= at < end}
        places = [at for at in range(first, end) if at not in invalid] if invalid else range(first, end)
        inputs: Any = [checked.inputs[at] for at in places] if invalid else checked.inputs[first:end]
        started_at = self._clock()
        predicted = self._calls.predict(inputs)
        finished_at = self._clock()
        outputs = predicted.outputs
        if invalid:
            outputs = [None] * (end - first)
            for at, output in zip(places, predicted.outputs, strict=True):
                outputs[at - first] = output
        failed = {places[index]: failure for index, failure in predicted.failures.items()}
        return MiniBatch(
            batch_id=new_id(),
            works=works,
            outputs=outputs,
            failures={**invalid, **failed} if invalid or failed else NO_FAILURES,
            requests=sum(not invalid.keys() >= set(range(w.start, w.stop)) for w in works) if invalid else len(works),
            size=len(inputs),
            failed=len(failed),
            started_at=started_at,
            finished_at=finished_at,
        )

    def _answer(self, batch: MiniBatch, verdicts: list[Verdict]) -> None:
        """Put the verdicts on the requests of one mini-batch in their places."""
        time = wire_time(batch.finished_at)
        template = self._answers.template(batch_id=batch.batch_id, time=time)
        succeeded = self._answers.succeeded
        failures = batch.failures
        first = batch.works[0].start
        for work in batch.works:
            at, record, request, topic, start, stop = work
            outputs = batch.outputs[start - first : stop - first]
            if record.headers or (failures and not failures.keys().isdisjoint(range(start, stop))):
                verdicts[at] = self._judge(work, outputs, batch, time)
            else:
                value = succeeded(template, request, outputs, time)
                verdicts[at] = Done((Message(topic, value, prediction_key(request)),))

    def _judge(self, work: Work, outputs: list[Any], batch: MiniBatch, time: str) -> Verdict:
        """The verdict on a request that failed somewhere, or was sent again."""
        _, record, request, topic, start, stop = work
        failures = {index: batch.failures[i] for index, i in enumerate(range(start, stop)) if i in batch.failures}
        again = next((failure for failure in failures.values() if failure.retryable), None)
        if again is not None:
            return self._again(work, again, batch, time)
        errors: list[InstanceError] = [
            {"index": index, "type": failure.type, "detail": failure.detail} for index, failure in failures.items()
        ]
        was_tried = any(failure.type != INVALID_INPUT for failure in failures.values()) or len(errors) < stop - start
        value = self._answers.answer(
            request,
            outputs,
            errors,
            batch_id=batch.batch_id if was_tried else None,
            redrive=record.redrive,
            time=time,
        )
        return Done((Message(topic, value, prediction_key(request)),))

    def _again(self, work: Work, failure: Failure, batch: MiniBatch, time: str) -> Verdict:
        settings, attempt = self._settings, work.record.attempt
        if attempt < settings.max_attempts:
            longest = min(settings.retry_max_seconds, settings.retry_seconds * 2.0 ** (attempt - 1))
            return Retry(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        reason = f"the model could not answer in {attempt} attempts, the last time: {failure.detail}"
        failed = self._gave_up(
            work.record, work.request, work.topic, failure.type, reason, time, batch_id=batch.batch_id
        )
        return Dead(reason, (failed,))

    def _gave_up(
        self,
        record: Record,
        request: RequestEvent,
        topic: str,
        error_type: str,
        detail: str,
        time: str,
        *,
        batch_id: str | None = None,
    ) -> Message:
        value = self._answers.refusal(
            request, "failed", error_type, detail, batch_id=batch_id, redrive=record.redrive, time=time
        )
        return Message(topic, value, prediction_key(request))
