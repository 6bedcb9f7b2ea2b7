// All jobs, the latest first; those that run move.

import type { Endpoints, Job, JobPage } from "../core/bodies.js";
import { brief, count, NONE, seconds, shortId } from "../core/formats.js";
import { hrefTo } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { State } from "../parts/marks.js";
import { Empty, Head, Loaded, Panel } from "../parts/panels.js";
import { Table } from "../parts/table.js";
import { Ago, EndpointLink } from "../parts/texts.js";
import { Bar } from "./bar.js";
import { isOver, useJob } from "./following.js";
import { StartJob } from "./start-job.js";

/** A browser holds six connections to a gateway, over HTTP/1.1. */
const FOLLOWED = 2;

export function JobsView() {
  const jobs = useWatch<JobPage>("/v1/jobs?limit=50", 3);
  const endpoints = useWatch<Endpoints>("/v1/endpoints", 10).body.value?.endpoints.map((each) => each.name) ?? [];
  return (
    <>
      <Head title="Jobs" />
      <Panel title="Predict a file">
        <StartJob endpoints={endpoints} />
      </Panel>
      <Panel title="Latest first" flush>
        <Loaded of={jobs}>
          {(page) => {
            if (page.jobs.length === 0) {
              return (
                <Empty title="No jobs yet">
                  <p>Drop a file of many rows on this page; each row is predicted, and the results are a file again.</p>
                </Empty>
              );
            }
            const followed = new Set(
              page.jobs
                .filter((each) => !isOver(each))
                .slice(0, FOLLOWED)
                .map((each) => each.id),
            );
            return (
              <Table
                caption="Jobs"
                rows={page.jobs}
                keyOf={(each) => each.id}
                columns={[
                  {
                    title: "File",
                    heads: true,
                    wide: true,
                    cell: (job) => (
                      <a class="cut" href={hrefTo("jobs", job.id)} title={job.source ?? job.id}>
                        {job.source ?? shortId(job.id)}
                      </a>
                    ),
                  },
                  {
                    title: "Endpoint",
                    cell: ({ endpoint }) => (
                      <span class="cut narrow">
                        <EndpointLink name={endpoint} />
                      </span>
                    ),
                  },
                  { title: "Status", cell: (job) => <State of={job.status} /> },
                  {
                    title: "Progress",
                    cell: (job) => (
                      <Progress key={`${job.id} ${followed.has(job.id)}`} job={job} follow={followed.has(job.id)} />
                    ),
                  },
                  { title: "Rows", figures: true, cell: ({ counts }) => count(counts.total) },
                  {
                    title: "Failed",
                    figures: true,
                    cell: ({ counts }) => (counts.failed > 0 ? <span class="bad">{count(counts.failed)}</span> : "0"),
                  },
                  { title: "Rows/s", figures: true, cell: ({ rows_per_second }) => brief(rows_per_second) },
                  { title: "Left", figures: true, cell: (job) => (isOver(job) ? NONE : seconds(job.eta_seconds)) },
                  { title: "Started", figures: true, cell: ({ created_at }) => <Ago of={created_at} /> },
                ]}
              />
            );
          }}
        </Loaded>
      </Panel>
    </>
  );
}

function Progress({ job, follow }: { job: Job; follow: boolean }) {
  const followed = useJob(job.id, job, follow);
  return <Bar job={(follow && followed.job.value) || job} />;
}
