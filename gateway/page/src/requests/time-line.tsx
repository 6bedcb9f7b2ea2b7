// The moments of a request: as bars on one scale, and as a list with times.

import type { Way } from "../core/bodies.js";
import { between, seconds } from "../core/formats.js";
import { Moment } from "../parts/texts.js";
import { describe, happeningsOf, type Lane, lanesOf } from "./moments.js";

const TICKS = 4;

export function TimeLine({ way }: { way: Way }) {
  const happenings = happeningsOf(way);
  const origin = way.created_at ?? happenings[0]?.at;
  if (origin === undefined) return <p class="muted">Accepted, and not in the ledger yet. It shows here in a moment.</p>;
  const lanes = lanesOf(way, origin, Math.max(0, (Date.now() - Date.parse(origin)) / 1000));
  return (
    <>
      {lanes.length > 0 && <Bars lanes={lanes} />}
      <ol class="moments">
        {happenings.map((each) => (
          <li key={`${each.at} ${each.title}`} class={each.tone}>
            <span class="offset">+{seconds(Math.max(0, between(origin, each.at)))}</span>
            <span class="dot" aria-hidden="true" />
            <span class="what">
              <strong>{each.title}</strong>
              {each.detail && <span class="muted"> {each.detail}</span>}
            </span>
            <span class="at">
              <Moment of={each.at} />
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

function Bars({ lanes }: { lanes: Lane[] }) {
  const end = Math.max(...lanes.flatMap((lane) => lane.bars.map((each) => each.to)), 0.001);
  const ticks = ticksOf(end);
  const place = (at: number) => `${(100 * at) / end}%`;
  return (
    <div class="waterfall">
      <div class="lanes" role="img" aria-label={describe(lanes)}>
        {lanes.map((lane, number) => (
          <div class="lane" key={`${number} ${lane.name}`}>
            <span class="name cut" title={lane.name}>
              {lane.name}
            </span>
            <div class="track">
              {lane.bars.map((each) => (
                <i
                  key={`${each.kind} ${each.from}`}
                  class={each.kind}
                  title={each.title}
                  style={{ left: place(each.from), width: place(each.to - each.from) }}
                />
              ))}
            </div>
          </div>
        ))}
        <div class="lane scale">
          <span class="name" />
          <div class="track">
            {ticks.map((at) => (
              <span key={at} style={{ left: place(at) }}>
                {seconds(at)}
              </span>
            ))}
          </div>
        </div>
      </div>
      <ul class="key" aria-label="Colours of the bars">
        {KEY.filter(([kind]) => lanes.some((lane) => lane.bars.some((each) => each.kind === kind))).map(
          ([kind, text]) => (
            <li key={kind}>
              <i class={kind} />
              {text}
            </li>
          ),
        )}
      </ul>
    </div>
  );
}

const KEY = [
  ["queued", "queued"],
  ["predicting", "predicting"],
  ["storing", "until completed"],
  ["waiting", "still waits"],
  ["delivering", "delivering"],
  ["retrying", "to be tried again"],
] as const;

/** Round numbers from 0 on. */
function ticksOf(end: number): number[] {
  const rough = end / TICKS;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => each >= rough) ?? rough;
  const ticks: number[] = [];
  for (let at = 0; at <= end * 0.88; at += step) ticks.push(at);
  return ticks;
}
