// Everything that went wrong: dead letters, requests that failed, deliveries that were given up.

import type { DeadLetterPage, DeliveryPage, RequestPage } from "../core/bodies.js";
import { goTo } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { Segments } from "../parts/choices.js";
import { Empty, Head, Loaded, Panel } from "../parts/panels.js";
import { RequestTable } from "../requests/request-table.js";
import { DeadLetterTable } from "./dead-letter-table.js";
import { DeliveryTable } from "./delivery-table.js";

type Which = "open" | "redriven";
const WHICH = [
  ["open", "Open"],
  ["redriven", "Redriven"],
] as const;

export function FailuresView({ query }: { query: URLSearchParams }) {
  const which: Which = query.get("state") === "redriven" ? "redriven" : "open";
  const letters = useWatch<DeadLetterPage>(`/v1/dead-letters?state=${which}&limit=100`, 3);
  const failed = useWatch<RequestPage>("/v1/predictions?status=failed&limit=10", 3);
  const undelivered = useWatch<DeliveryPage>("/v1/deliveries?state=failed&limit=25", 5);
  return (
    <>
      <Head title="Failures" />
      <Panel
        title="Dead letters"
        aside={
          <Segments
            label="Which dead letters"
            value={which}
            options={WHICH}
            onChoose={(each) => goTo(each === "open" ? "#/failures" : `#/failures?state=${each}`)}
          />
        }
        flush
      >
        <Loaded of={letters}>
          {(page) =>
            page.dead_letters.length === 0 && which === "redriven" ? (
              <Empty title="None was redriven" />
            ) : (
              <DeadLetterTable letters={page.dead_letters} caption={`Dead letters, ${which}`} />
            )
          }
        </Loaded>
      </Panel>
      <Panel title="Failed requests" aside={<a href="#/requests?status=failed">All failed requests</a>} flush>
        <Loaded of={failed}>
          {(page) =>
            page.predictions.length === 0 ? (
              <Empty title={page.next === null ? "No failed requests" : "None among the latest requests"} />
            ) : (
              <RequestTable caption="Failed requests" requests={page.predictions} />
            )
          }
        </Loaded>
      </Panel>
      <Panel title="Failed deliveries" flush>
        <Loaded of={undelivered}>
          {(page) => (
            <DeliveryTable
              deliveries={page.deliveries}
              caption="Failed deliveries"
              onReplay={() => undelivered.again()}
              linked
            />
          )}
        </Loaded>
      </Panel>
    </>
  );
}
