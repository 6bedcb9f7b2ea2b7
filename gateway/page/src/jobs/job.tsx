// One job: its bar to the end, and what came of it.

import { useSignal } from "@preact/signals";
import { ask, Problem } from "../core/asking.js";
import type { Deployments, Job } from "../core/bodies.js";
import { brief, count, NONE, percent, plural, seconds } from "../core/formats.js";
import { useWatch } from "../core/watching.js";
import { Labels, State } from "../parts/marks.js";
import { Fact, Head, Panel, sentence, Trouble } from "../parts/panels.js";
import { Command, Copy, EndpointLink, Moment } from "../parts/texts.js";
import { Bar } from "./bar.js";
import { isOver, useJob } from "./following.js";

const FORMATS = [
  ["csv", "CSV"],
  ["jsonl", "JSON Lines"],
  ["parquet", "Parquet"],
] as const;

export function JobView({ id }: { id: string }) {
  const { job, problem } = useJob(id);
  const body = job.value;
  const above = <a href="#/jobs">Jobs</a>;
  if (problem.value?.isAbsent) {
    return (
      <>
        <Head title="Job" above={above} />
        <Trouble>There is no job {id}: it was never submitted, or is kept no longer.</Trouble>
      </>
    );
  }
  return (
    <>
      <Head title={body?.source ?? "Job"} above={above}>
        <span class="id whole">{id}</span>
        <Copy text={id} what="the id" />
        {body !== null && <State of={body.status} />}
      </Head>
      {problem.value !== null && problem.value.status !== 0 && <Trouble>{sentence(problem.value.message)}</Trouble>}
      {body === null ? (
        <p class="loading">Loading …</p>
      ) : (
        <Whole
          job={body}
          onChange={(next) => {
            job.value = next;
          }}
        />
      )}
    </>
  );
}

function Whole({ job, onChange }: { job: Job; onChange: (job: Job) => void }) {
  const { counts } = job;
  const done = counts.succeeded + counts.failed + counts.expired + counts.cancelled;
  const over = isOver(job);
  return (
    <>
      <Panel title="Progress" aside={!over && <Cancel job={job} onChange={onChange} />}>
        <div class="progress">
          <p class="figure">
            {counts.total ? percent(done / counts.total).replace(".0 ", " ") : over ? "100 %" : plural(done, "row")}
            <span class="muted"> {progressOf(job, done)}</span>
          </p>
          <Bar job={job} tall />
          <ul class="key">
            <Count kind="succeeded" rows={counts.succeeded} />
            <Count kind="failed" rows={counts.failed} />
            <Count kind="expired" rows={counts.expired} />
            <Count kind="cancelled" rows={counts.cancelled} />
            <Count kind="queued" rows={counts.queued} />
          </ul>
        </div>
        {job.reason !== null && <p class="reason">{job.reason}</p>}
        {!over && <Idle job={job} />}
      </Panel>
      <Panel title={over ? "Results" : "Results so far"}>
        <p class="links">
          {FORMATS.map(([format, name]) => (
            <a
              key={format}
              class="button"
              href={`/v1/jobs/${encodeURIComponent(job.id)}/results?format=${format}`}
              download
            >
              {name}
            </a>
          ))}
          {counts.failed > 0 && (
            <a class="button" href={`/v1/jobs/${encodeURIComponent(job.id)}/errors`} download>
              Errors of {plural(counts.failed, "row")}
            </a>
          )}
        </p>
        {job.result && (
          <p class="muted">
            {job.result.error ?? (job.result.written_at ? "Written to" : "To be written to")}{" "}
            <span class="id">{job.result.url}</span>
          </p>
        )}
      </Panel>
      <dl class="facts">
        <Fact name="Endpoint">
          <EndpointLink name={job.endpoint} />
        </Fact>
        <Fact name="Rows">{count(counts.total)}</Fact>
        <Fact name="Rows per second">{brief(job.rows_per_second)}</Fact>
        <Fact name="Accepted">
          <Moment of={job.created_at} />
        </Fact>
        <Fact name="Begun">
          <Moment of={job.started_at} />
        </Fact>
        <Fact name="Ended">
          <Moment of={job.completed_at} />
        </Fact>
        {job.metadata && (
          <Fact name="Labels" broad>
            <Labels of={job.metadata} />
          </Fact>
        )}
      </dl>
    </>
  );
}

function progressOf(job: Job, done: number): string {
  const { total } = job.counts;
  if (isOver(job))
    return `${plural(done, "row")} in ${job.started_at && job.completed_at ? seconds((Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000) : NONE}`;
  if (total === null) return "while the file is still being read";
  return `${count(done)} of ${plural(total, "row")}${job.eta_seconds === null ? "" : `, ${seconds(job.eta_seconds)} left`}`;
}

function Count({ kind, rows }: { kind: string; rows: number }) {
  if (rows === 0 && kind !== "succeeded") return null;
  return (
    <li>
      <i class={kind} />
      {count(rows)} {kind}
    </li>
  );
}

function Cancel({ job, onChange }: { job: Job; onChange: (job: Job) => void }) {
  const sure = useSignal(false);
  const problem = useSignal<string | null>(null);
  const cancel = async () => {
    try {
      onChange(await ask<Job>(`/v1/jobs/${encodeURIComponent(job.id)}/cancel`, { method: "POST" }));
    } catch (error) {
      problem.value = error instanceof Problem ? error.message : String(error);
    }
  };
  return (
    <span class="cancel">
      {problem.value !== null && <span class="bad">{sentence(problem.value)}</span>}
      {sure.value ? (
        <>
          <button type="button" class="button small danger" onClick={() => void cancel()}>
            Cancel what is left
          </button>
          <button
            type="button"
            class="button small"
            onClick={() => {
              sure.value = false;
            }}
          >
            Go on
          </button>
        </>
      ) : (
        <button
          type="button"
          class="button small"
          onClick={() => {
            sure.value = true;
          }}
        >
          Cancel …
        </button>
      )}
    </span>
  );
}

/** Why nothing moves, where that can be told. */
function Idle({ job }: { job: Job }) {
  const all = useWatch<Deployments>("/v1/deployments", 2).body.value?.deployments ?? [];
  const idle = all.filter(
    (each) => each.endpoint === job.endpoint && each.role !== "shadow" && each.state === "no-workers",
  );
  if (idle.length === 0) return null;
  return (
    <div class="hint">
      <p>Waits for a worker of {idle.map((each) => each.name).join(", ")}:</p>
      {idle.map((each) => (
        <Command key={each.name}>{`predictq worker ${each.name}`}</Command>
      ))}
    </div>
  );
}
