// An endpoint on the overview.

import type { Activity, Deployment, EndpointLine } from "../core/bodies.js";
import { hrefTo } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { DeploymentTable } from "../endpoint/deployment-table.js";

interface Props {
  endpoint: EndpointLine;
  deployments: Deployment[] | null;
  /** Between two questions. */
  seconds: number;
}

export function EndpointCard({ endpoint, deployments, seconds }: Props) {
  const { name, description } = endpoint;
  const activity = useWatch<Activity>(activityPath(name, 300), seconds).body.value;
  return (
    <section class="panel flush" aria-label={`Endpoint ${name}`}>
      <header>
        <h2>
          <a href={hrefTo("endpoints", name)}>{name}</a>
        </h2>
        {description && <p class="muted cut">{description}</p>}
        <a class="more" href={hrefTo("endpoints", name)} aria-label={`Plots & try it: ${name}`}>
          Plots &amp; try it
        </a>
      </header>
      <div class="inside">
        <DeploymentTable endpoint={name} deployments={deployments} activity={activity} />
      </div>
    </section>
  );
}

export function activityPath(endpoint: string, seconds: number): string {
  return `/v1/endpoints/${encodeURIComponent(endpoint)}/activity?seconds=${seconds}`;
}
