// Broker, database and ledger in a line of tiles.

import type { ComponentChildren } from "preact";
import type { Deployments, Part, SystemStatus } from "../core/bodies.js";
import { brief, count, NONE, seconds } from "../core/formats.js";
import { useWatch } from "../core/watching.js";
import { Mark } from "../parts/marks.js";

export const BEHIND_SECONDS = 10;
const KINDS: Record<string, string> = {
  sqlite: "SQLite",
  memory: "in memory",
  redis: "Redis",
  kafka: "Kafka",
  "kafka+confluent": "Kafka",
  amqp: "RabbitMQ",
  postgresql: "PostgreSQL",
};

export function System() {
  const status = useWatch<SystemStatus>("/v1/status", 2).body.value;
  const deployments = useWatch<Deployments>("/v1/deployments", 2).body.value?.deployments ?? [];
  const behind = status?.ledger.behind_seconds ?? null;
  const waiting = deployments.reduce((sum, { lag }) => sum + lag.ready + (lag.in_flight ?? 0), 0);
  const oldest = deployments.reduce((most, { lag }) => Math.max(most, lag.oldest_age_seconds ?? 0), 0);
  return (
    <dl class="tiles">
      <Tile name="Broker">
        <PartState of={status?.broker} />
      </Tile>
      <Tile name="Database">
        <PartState of={status?.database} />
      </Tile>
      <Tile name="Ledger" note={behind === null ? "has not run yet" : "behind"}>
        {status === null ? (
          NONE
        ) : (
          <Mark tone={behind === null ? "quiet" : behind > BEHIND_SECONDS ? "warn" : "good"}>
            {behind === null ? NONE : seconds(behind)}
          </Mark>
        )}
      </Tile>
      <Tile name="Waiting" note={waiting === 0 ? "nothing is late" : `oldest ${seconds(oldest)}`}>
        {count(waiting)}
      </Tile>
      <Tile name="Deployments" note={`${brief(deployments.filter((each) => each.state === "serving").length)} serving`}>
        {count(deployments.length)}
      </Tile>
    </dl>
  );
}

function PartState({ of }: { of: Part | undefined }) {
  if (of === undefined) return NONE;
  return (
    <>
      <Mark tone={of.ok ? "good" : "bad"}>{KINDS[of.kind] ?? of.kind}</Mark>
      <span class="note">{of.ok ? "answers" : of.detail}</span>
    </>
  );
}

function Tile({ name, note, children }: { name: string; note?: string; children: ComponentChildren }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        {children}
        {note !== undefined && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}
