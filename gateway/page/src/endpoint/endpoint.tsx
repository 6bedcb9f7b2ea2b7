// An endpoint: its deployments over time, and a form to try it.

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Activity, Deployments, EndpointDetail, RequestPage } from "../core/bodies.js";
import { useWatch } from "../core/watching.js";
import { StartJob } from "../jobs/start-job.js";
import { activityPath } from "../overview/endpoint-card.js";
import { Segments } from "../parts/choices.js";
import { Head, Loaded, Panel, Trouble } from "../parts/panels.js";
import { RequestTable } from "../requests/request-table.js";
import { Trying } from "../trying/trying.js";
import { ActivityPlots } from "./activity-plots.js";
import { DeploymentTable } from "./deployment-table.js";

type Span = "300" | "900" | "3600";
const SPANS = [
  ["300", "5 min"],
  ["900", "15 min"],
  ["3600", "1 h"],
] as const;

const span = signal<Span>("300");

export function EndpointView({ name }: { name: string }) {
  const path = `/v1/endpoints/${encodeURIComponent(name)}`;
  const detail = useWatch<EndpointDetail>(path, 15);
  const deployments = useWatch<Deployments>("/v1/deployments", 2);
  const activity = useWatch<Activity>(activityPath(name, Number(span.value)), span.value === "3600" ? 6 : 2);
  const recent = useWatch<RequestPage>(`/v1/predictions?endpoint=${encodeURIComponent(name)}&limit=8`, 2);
  // Another span: the plots stay as they are until its answer is there.
  const shown = useRef<Activity | null>(null);
  shown.current = activity.body.value ?? shown.current;
  const mine = deployments.body.value?.deployments.filter((each) => each.endpoint === name) ?? null;
  const above = <a href="#/">Overview</a>;
  if (detail.problem.value?.isAbsent) {
    return (
      <>
        <Head title={name} above={above} />
        <Trouble>There is no endpoint of this name.</Trouble>
      </>
    );
  }
  const description = detail.body.value?.description;
  return (
    <>
      <Head title={name} above={above}>
        {description && <p class="muted">{description}</p>}
      </Head>
      <Panel title="Deployments" flush>
        <DeploymentTable endpoint={name} deployments={mine} activity={activity.body.value} />
      </Panel>
      <Panel
        title="Activity"
        aside={
          <Segments
            label="Span of the plots"
            value={span.value}
            options={SPANS}
            onChoose={(each) => {
              span.value = each;
            }}
          />
        }
      >
        {shown.current === null ? (
          <Loaded of={activity}>{() => null}</Loaded>
        ) : (
          <ActivityPlots activity={shown.current} deployments={mine ?? []} />
        )}
      </Panel>
      <div class="columns">
        <Panel title="Try an instance">
          <Loaded of={detail}>{(body) => <Trying key={name} endpoint={body} />}</Loaded>
        </Panel>
        <div class="stack">
          <Panel title="Predict a file">
            <StartJob endpoints={[name]} />
          </Panel>
          <Panel
            title="Recent requests"
            aside={<a href={`#/requests?endpoint=${encodeURIComponent(name)}`}>All</a>}
            flush
          >
            <Loaded of={recent}>
              {(page) => <RequestTable caption={`Recent requests of ${name}`} requests={page.predictions} ofOne />}
            </Loaded>
          </Panel>
        </div>
      </div>
    </>
  );
}
