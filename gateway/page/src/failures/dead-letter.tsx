// One dead letter: why it died, what it was, and how to send it again.

import type { DeadLetterDetail, Json } from "../core/bodies.js";
import { bytes, count, NONE } from "../core/formats.js";
import { useWatch } from "../core/watching.js";
import { State } from "../parts/marks.js";
import { Fact, Head, Loaded, Panel, Trouble } from "../parts/panels.js";
import { Command, Copy, EndpointLink, IdLink, Moment, pretty, Source } from "../parts/texts.js";

export function DeadLetterView({ id }: { id: string }) {
  const letter = useWatch<DeadLetterDetail>(`/v1/dead-letters/${encodeURIComponent(id)}`, 5);
  const above = <a href="#/failures">Failures</a>;
  if (letter.problem.value?.isAbsent) {
    return (
      <>
        <Head title="Dead letter" above={above} />
        <Trouble>There is no dead letter {id}; it may have been purged.</Trouble>
      </>
    );
  }
  return (
    <>
      <Head title="Dead letter" above={above}>
        <span class="id whole">{id}</span>
        <Copy text={id} what="the id" />
        {letter.body.value !== null && <State of={letter.body.value.state} />}
      </Head>
      <Loaded of={letter}>
        {(body) => (
          <>
            <Panel title="Reason">
              <p class="reason">{body.reason}</p>
            </Panel>
            <dl class="facts">
              <Fact name="Endpoint">
                <EndpointLink name={body.endpoint} />
              </Fact>
              <Fact name="Given up by">{body.deployment ?? body.group}</Fact>
              <Fact name="Request">
                {body.request_id === null ? NONE : <IdLink to="requests" id={body.request_id} />}
              </Fact>
              <Fact name="Attempts">{count(body.attempts)}</Fact>
              <Fact name="Redeliveries">{count(body.redeliveries)}</Fact>
              <Fact name="Redriven">{body.redrive === 0 ? "never" : `${count(body.redrive)}×`}</Fact>
              <Fact name="Published">
                <Moment of={body.published_at} />
              </Fact>
              <Fact name="Died">
                <Moment of={body.dead_at} />
              </Fact>
              <Fact name="Came from">
                <span class="id">
                  {body.origin.topic} / {body.origin.partition} / {body.origin.position}
                </span>
              </Fact>
            </dl>
            {body.state === "open" && (
              <Panel title="Send it again">
                <p>Once the reason is gone, on a machine that has the settings of this installation:</p>
                <Command>{`predictq dead-letters redrive ${body.id}`}</Command>
              </Panel>
            )}
            <Panel
              title="Message"
              aside={
                <span class="muted">
                  {bytes(body.bytes)}
                  {body.truncated && ", cut"}
                </span>
              }
            >
              <Source text={readable(body.value)} label="Value of the message" />
            </Panel>
            {Object.keys(body.headers).length > 0 && (
              <Panel title="Headers">
                <dl class="facts">
                  {Object.entries(body.headers).map(([name, value]) => (
                    <Fact key={name} name={name}>
                      <span class="id">{value}</span>
                    </Fact>
                  ))}
                </dl>
              </Panel>
            )}
          </>
        )}
      </Loaded>
    </>
  );
}

function readable(value: string): string {
  try {
    return pretty(JSON.parse(value) as Json);
  } catch {
    return value;
  }
}
