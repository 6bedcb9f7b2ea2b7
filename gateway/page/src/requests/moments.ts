// The moments of a request, in their order, and the spans between them.

import type { Way } from "../core/bodies.js";
import { between, count, plural, seconds } from "../core/formats.js";

export interface Happening {
  at: string;
  title: string;
  detail?: string;
  tone: "good" | "bad" | "warn" | "busy" | "quiet";
}

export interface Bar {
  kind: "queued" | "predicting" | "storing" | "waiting" | "delivering" | "retrying";
  from: number;
  to: number;
  title: string;
}

export interface Lane {
  name: string;
  bars: Bar[];
}

export function happeningsOf(way: Way): Happening[] {
  const found: Happening[] = [];
  if (way.created_at) {
    found.push({ at: way.created_at, title: "Accepted", detail: "the broker holds the request durably", tone: "good" });
  }
  for (const { deployment, batch, status, created_at, errors } of way.predictions) {
    if (batch) {
      found.push({
        at: batch.started_at,
        title: `${deployment}: predicting`,
        detail: `in a mini-batch of ${plural(batch.requests, "request")}, ${plural(batch.size, "instance")}, on ${batch.worker}`,
        tone: "busy",
      });
    }
    const why = errors[0]?.detail;
    found.push({
      at: batch?.finished_at ?? created_at,
      title: `${deployment}: ${status}`,
      detail: [batch && `took ${seconds(between(batch.started_at, batch.finished_at))}`, why]
        .filter(Boolean)
        .join("; "),
      tone: status === "succeeded" ? "good" : status === "failed" ? "bad" : "warn",
    });
  }
  for (const letter of way.dead_letters) {
    found.push({
      at: letter.dead_at,
      title: `${letter.deployment ?? letter.group}: dead letter`,
      detail: `after ${plural(letter.attempts, "attempt")}: ${letter.reason}`,
      tone: "bad",
    });
  }
  if (way.completed_at) {
    found.push({
      at: way.completed_at,
      title: "Completed",
      detail: `stored as ${way.status}; whoever waits is told`,
      tone: way.status === "succeeded" ? "good" : "warn",
    });
  }
  for (const delivery of way.deliveries) {
    for (const attempt of delivery.history) {
      const well = attempt.status !== null && attempt.status >= 200 && attempt.status < 300;
      found.push({
        at: attempt.at,
        title: well ? "Delivered" : "Delivery failed",
        detail: `${delivery.event} to ${delivery.url}: ${attempt.status ?? attempt.error ?? "no answer"} in ${seconds(attempt.seconds)}`,
        tone: well ? "good" : "bad",
      });
    }
  }
  return found.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Spans in seconds since `origin`, which is `now` long ago at most. */
export function lanesOf(way: Way, origin: string, now: number): Lane[] {
  const since = (at: string) => Math.max(0, between(origin, at));
  const done = way.completed_at === null ? null : since(way.completed_at);
  const lanes = way.predictions.map(({ deployment, batch, created_at }): Lane => {
    if (batch === null)
      return { name: deployment, bars: [bar("queued", 0, since(created_at), "answered without a mini-batch")] };
    const [started, finished] = [since(batch.started_at), since(batch.finished_at)];
    const bars = [bar("queued", 0, started, "queued"), bar("predicting", started, finished, "predicting")];
    if (done !== null && done > finished) bars.push(bar("storing", finished, done, "until the request was completed"));
    return { name: deployment, bars };
  });
  for (const name of way.owed) lanes.push({ name, bars: [bar("waiting", 0, now, "still waits")] });
  for (const { url, history, due_at } of way.deliveries) {
    const bars = history.map((each) =>
      bar(
        "delivering",
        since(each.at),
        since(each.at) + each.seconds,
        `attempt: ${each.status ?? each.error ?? "no answer"}`,
      ),
    );
    if (due_at !== null && done !== null) bars.unshift(bar("retrying", done, now, "tried again later"));
    lanes.push({ name: url, bars });
  }
  return lanes;
}

function bar(kind: Bar["kind"], from: number, to: number, what: string): Bar {
  return { kind, from, to: Math.max(from, to), title: `${what}: ${seconds(Math.max(0, to - from))}` };
}

export function describe(lanes: Lane[]): string {
  return lanes.map((lane) => `${lane.name}: ${lane.bars.map((each) => each.title).join(", ")}`).join(". ") || count(0);
}
