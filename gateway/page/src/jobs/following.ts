// A job as it is now: told by the gateway (Server-Sent Events), or asked for where that cannot be had.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, Problem } from "../core/asking.js";
import type { Job } from "../core/bodies.js";
import { count } from "../core/formats.js";
import { tell } from "../core/telling.js";

const ENDS = ["job.completed", "job.failed", "job.cancelled"];
const POLL_SECONDS = 2;

export interface Followed {
  job: Signal<Job | null>;
  problem: Signal<Problem | null>;
}

/** Follow it to its end. `follow` false: leave it as it is. */
export function useJob(id: string, known: Job | null = null, follow = true): Followed {
  const job = useSignal<Job | null>(known);
  const problem = useSignal<Problem | null>(null);
  useEffect(() => {
    if (!follow || (job.peek() !== null && isOver(job.peek()))) return;
    let stopped = false;
    let timer = 0;
    const events = new EventSource(`/v1/jobs/${encodeURIComponent(id)}/events`);
    const note = (body: Job) => {
      const before = job.peek();
      job.value = body;
      problem.value = null;
      if (!isOver(body)) return;
      events.close();
      if (before !== null && !isOver(before))
        tell(`Job ${body.status}: ${count(body.counts.succeeded)} rows succeeded, ${count(body.counts.failed)} failed`);
    };
    const poll = async () => {
      try {
        const body = await ask<Job>(`/v1/jobs/${encodeURIComponent(id)}`);
        if (!stopped) note(body);
      } catch (error) {
        if (!stopped) problem.value = error instanceof Problem ? error : new Problem(0, String(error));
      }
      const gone = problem.peek()?.isAbsent ?? false;
      // A browser gives a stream up that was refused, and comes back by itself to one that was cut.
      const streamed = events.readyState === EventSource.OPEN;
      if (!stopped && !gone && !isOver(job.peek()) && !streamed)
        timer = window.setTimeout(() => void poll(), POLL_SECONDS * 1000);
    };
    for (const name of ["job.progress", ...ENDS]) {
      events.addEventListener(name, (event) => note(JSON.parse((event as MessageEvent<string>).data) as Job));
    }
    events.onerror = () => {
      clearTimeout(timer);
      if (!stopped && !isOver(job.peek())) timer = window.setTimeout(() => void poll(), POLL_SECONDS * 1000);
    };
    void poll();
    return () => {
      stopped = true;
      clearTimeout(timer);
      events.close();
    };
  }, [id, follow, job, problem]);
  return { job, problem };
}

export function isOver(job: Job | null): boolean {
  return job?.completed_at !== null && job?.completed_at !== undefined;
}
