// The first view: is all well, what is served, what came last.

import type { Deployments, Endpoints, RequestPage } from "../core/bodies.js";
import { useWatch } from "../core/watching.js";
import { RecentFailures } from "../failures/recent.js";
import { Empty, Head, Loaded, Panel } from "../parts/panels.js";
import { Command } from "../parts/texts.js";
import { RequestTable } from "../requests/request-table.js";
import { EndpointCard } from "./endpoint-card.js";
import { System } from "./system.js";

export function Overview() {
  const endpoints = useWatch<Endpoints>("/v1/endpoints", 10);
  const deployments = useWatch<Deployments>("/v1/deployments", 2);
  const recent = useWatch<RequestPage>("/v1/predictions?limit=8", 3);
  return (
    <>
      <Head title="Overview" />
      <System />
      <Loaded of={endpoints}>
        {({ endpoints: all }) =>
          all.length === 0 ? (
            <NoEndpoints />
          ) : (
            <>
              {all.map((endpoint) => (
                <EndpointCard
                  key={endpoint.name}
                  endpoint={endpoint}
                  deployments={
                    deployments.body.value?.deployments.filter((each) => each.endpoint === endpoint.name) ?? null
                  }
                  seconds={Math.max(2, all.length / 2)}
                />
              ))}
              <div class="columns">
                <Panel title="Recent requests" aside={<a href="#/requests">All requests</a>} flush>
                  <Loaded of={recent}>
                    {(page) => <RequestTable caption="Recent requests" requests={page.predictions} />}
                  </Loaded>
                </Panel>
                <RecentFailures />
              </div>
            </>
          )
        }
      </Loaded>
    </>
  );
}

function NoEndpoints() {
  return (
    <Panel title="Endpoints">
      <Empty title="No endpoints yet">
        <p>
          An endpoint is a named stream of requests, and a deployment is a model that answers them. Name both in{" "}
          <code>predictq.toml</code>, beside a model that you saved with joblib, and start again:
        </p>
        <Command>
          {'[endpoints.flowers]\n\n[deployments.flowers-tree]\nendpoint = "flowers"\nmodel = "tree.joblib"'}
        </Command>
        <Command>predictq up</Command>
      </Empty>
    </Panel>
  );
}
