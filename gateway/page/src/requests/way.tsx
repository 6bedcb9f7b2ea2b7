// The whole way of one request.

import type { Deployments, Way } from "../core/bodies.js";
import { between, count, NONE, plural, seconds } from "../core/formats.js";
import { hrefTo } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { DeliveryTable } from "../failures/delivery-table.js";
import { Labels, State, Tag } from "../parts/marks.js";
import { Fact, Head, Loaded, Panel, Trouble } from "../parts/panels.js";
import { Command, Copy, EndpointLink, IdLink, Moment } from "../parts/texts.js";
import { Outputs } from "../trying/outputs.js";
import { TimeLine } from "./time-line.js";

export function RequestView({ id }: { id: string }) {
  const way = useWatch<Way>(`/v1/predictions/${encodeURIComponent(id)}/way`, 2);
  const deployments = useWatch<Deployments>("/v1/deployments", 2).body.value?.deployments ?? [];
  const above = <a href="#/requests">Requests</a>;
  if (way.problem.value?.isAbsent) {
    return (
      <>
        <Head title="Request" above={above} />
        <Trouble>There is no request {id}: it was never submitted, or is kept no longer.</Trouble>
      </>
    );
  }
  return (
    <>
      <Head title="Request" above={above}>
        <span class="id whole">{id}</span>
        <Copy text={id} what="the id" />
        {way.body.value !== null && <State of={way.body.value.status} />}
      </Head>
      <Loaded of={way}>
        {(body) => (
          <>
            <Facts way={body} />
            <Panel title="Way">
              <TimeLine way={body} />
              <Owed
                way={body}
                idle={deployments.filter((each) => each.state === "no-workers").map((each) => each.name)}
              />
            </Panel>
            {body.dead_letters.map((letter) => (
              <Panel key={letter.id} title="Dead letter" aside={<State of={letter.state} />}>
                <p class="reason">{letter.reason}</p>
                <p class="muted">
                  Of {letter.deployment ?? letter.group}, after {letter.attempts}{" "}
                  {letter.attempts === 1 ? "attempt" : "attempts"}.{" "}
                  <a href={hrefTo("dead-letters", letter.id)}>Open the dead letter</a>
                </p>
              </Panel>
            ))}
            <div class="answers">
              {body.predictions.map((each) => (
                <Panel
                  key={each.deployment}
                  title={each.deployment}
                  aside={
                    <>
                      {!each.visible && <Tag>shadow</Tag>}
                      {each.redrive > 0 && <Tag>redrive {each.redrive}</Tag>}
                      <State of={each.status} />
                    </>
                  }
                >
                  <Outputs outputs={each.outputs} errors={each.errors} />
                  <dl class="facts small">
                    <Fact name="Version">{each.model_version ?? NONE}</Fact>
                    {each.batch !== null && (
                      <>
                        <Fact name="Worker">{each.batch.worker}</Fact>
                        <Fact name="Mini-batch">
                          {plural(each.batch.requests, "request")}, {plural(each.batch.size, "instance")}
                        </Fact>
                        <Fact name="Predict time">
                          {seconds(between(each.batch.started_at, each.batch.finished_at))}
                        </Fact>
                      </>
                    )}
                  </dl>
                </Panel>
              ))}
            </div>
            {body.deliveries.length > 0 && (
              <Panel title="Deliveries" flush>
                <DeliveryTable
                  deliveries={body.deliveries}
                  caption="Deliveries of this request"
                  onReplay={() => way.again()}
                />
              </Panel>
            )}
          </>
        )}
      </Loaded>
    </>
  );
}

function Facts({ way }: { way: Way }) {
  return (
    <dl class="facts">
      <Fact name="Endpoint">
        <EndpointLink name={way.endpoint} />
      </Fact>
      <Fact name="Accepted">
        <Moment of={way.created_at} />
      </Fact>
      <Fact name="Completed">
        <Moment of={way.completed_at} />
      </Fact>
      <Fact name="Took">
        {way.created_at && way.completed_at ? seconds(Math.max(0, between(way.created_at, way.completed_at))) : NONE}
      </Fact>
      {way.deadline && (
        <Fact name="Deadline">
          <Moment of={way.deadline} />
        </Fact>
      )}
      {way.job && (
        <Fact name="Job">
          <IdLink to="jobs" id={way.job.id} />, rows {count(way.job.first_row)}–
          {count(way.job.first_row + way.job.rows - 1)}
        </Fact>
      )}
      {way.metadata && Object.keys(way.metadata).length > 0 && (
        <Fact name="Labels" broad>
          <Labels of={way.metadata} />
        </Fact>
      )}
    </dl>
  );
}

function Owed({ way, idle }: { way: Way; idle: string[] }) {
  const without = way.owed.filter((name) => idle.includes(name));
  if (without.length === 0) return null;
  return (
    <div class="hint">
      <p>{without.join(", ")}: no worker runs, so this waits until one does.</p>
      {without.map((name) => (
        <Command key={name}>{`predictq worker ${name}`}</Command>
      ))}
    </div>
  );
}
