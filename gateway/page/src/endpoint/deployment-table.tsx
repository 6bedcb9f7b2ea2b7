// The deployments of an endpoint: what they are, and how they are doing.

import type { Activity, Deployment, Series } from "../core/bodies.js";
import { brief, count, NONE, percent, seconds } from "../core/formats.js";
import { State, Tag } from "../parts/marks.js";
import { Empty } from "../parts/panels.js";
import { type Column, Table } from "../parts/table.js";
import { Command } from "../parts/texts.js";
import { colourOf } from "../plots/colours.js";
import { meanOf, rateOf, total } from "../plots/rates.js";
import { Spark } from "../plots/spark.js";

interface Props {
  endpoint: string;
  deployments: Deployment[] | null;
  activity: Activity | null;
}

interface Row {
  place: number;
  deployment: Deployment;
  series: Series | undefined;
}

export function DeploymentTable({ endpoint, deployments, activity }: Props) {
  if (deployments === null) return <p class="loading">Loading …</p>;
  if (deployments.length === 0) {
    return (
      <Empty title="No deployment answers this endpoint">
        <p>
          Add a table <code>[deployments.NAME]</code> with <code>endpoint = "{endpoint}"</code> and a <code>model</code>{" "}
          to <code>predictq.toml</code>.
        </p>
      </Empty>
    );
  }
  const rows = deployments.map((deployment, place) => ({
    place,
    deployment,
    series: activity?.deployments.find((each) => each.name === deployment.name),
  }));
  const idle = deployments.filter((each) => each.state === "no-workers");
  return (
    <>
      <Table
        caption={`Deployments of ${endpoint}`}
        columns={columnsOf(activity)}
        rows={rows}
        keyOf={(row) => row.deployment.name}
      />
      {idle.length > 0 && (
        <div class="hint">
          <p>
            {idle.length === 1 ? `${idle[0]?.name} has no worker.` : `${idle.length} deployments have no workers.`}{" "}
            Requests are kept; start one on this machine or any other:
          </p>
          {idle.slice(0, 3).map((each) => (
            <Command key={each.name}>{`predictq worker ${each.name}`}</Command>
          ))}
        </div>
      )}
    </>
  );
}

function columnsOf(activity: Activity | null): Column<Row>[] {
  return [
    {
      title: "Deployment",
      heads: true,
      wide: true,
      cell: ({ deployment, place }) => (
        <span class="deployment">
          <i style={{ background: `var(${colourOf(place)})` }} aria-hidden="true" />
          <span class="cut" title={deployment.name}>
            {deployment.name}
          </span>
        </span>
      ),
    },
    { title: "Role", cell: ({ deployment }) => <Role of={deployment} /> },
    {
      title: "Version",
      cell: ({ deployment }) => (
        <span class="version cut" title={deployment.version}>
          {deployment.version}
        </span>
      ),
    },
    {
      title: "State",
      cell: ({ deployment }) => (
        <>
          <State of={deployment.state} />
          {deployment.members !== null && deployment.members > 1 && <span class="muted"> ×{deployment.members}</span>}
        </>
      ),
    },
    {
      title: "Requests/s",
      figures: true,
      cell: ({ series, place }) => (
        <span class="rate">
          {series && total(series.requests) > 0 && <Spark values={series.requests} colour={colourOf(place)} />}
          <span>{series && activity ? brief(rateOf(series, activity)) : NONE}</span>
        </span>
      ),
    },
    {
      title: "Waiting",
      figures: true,
      cell: ({ deployment: { lag } }) => count(lag.ready + (lag.in_flight ?? 0)),
    },
    { title: "Oldest", figures: true, cell: ({ deployment: { lag } }) => seconds(lag.oldest_age_seconds) },
    { title: "Batch size", figures: true, cell: ({ series }) => brief(series ? meanOf(series, "batch_size") : null) },
    {
      title: "Predict time",
      figures: true,
      cell: ({ series }) => seconds(series ? meanOf(series, "predict_seconds") : null),
    },
    { title: "Latency p50", figures: true, cell: ({ series }) => seconds(series?.latency_seconds.p50) },
    { title: "Latency p99", figures: true, cell: ({ series }) => seconds(series?.latency_seconds.p99) },
  ];
}

function Role({ of: { role, of, share } }: { of: Deployment }) {
  if (role === "canary") {
    return (
      <span title={of === null ? undefined : `instead of ${of}`}>
        <Tag>canary{share === null ? "" : ` ${percent(share).replace(".0", "")}`}</Tag>
      </span>
    );
  }
  return <Tag>{role}</Tag>;
}
