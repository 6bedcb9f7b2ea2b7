// The last failures, on the overview.

import type { DeadLetterPage } from "../core/bodies.js";
import { useWatch } from "../core/watching.js";
import { Loaded, Panel } from "../parts/panels.js";
import { DeadLetterTable } from "./dead-letter-table.js";

export function RecentFailures() {
  const letters = useWatch<DeadLetterPage>("/v1/dead-letters?state=open&limit=8", 4);
  return (
    <Panel title="Open dead letters" aside={<a href="#/failures">All failures</a>} flush>
      <Loaded of={letters}>
        {(page) => <DeadLetterTable letters={page.dead_letters} caption="Open dead letters" few />}
      </Loaded>
    </Panel>
  );
}
