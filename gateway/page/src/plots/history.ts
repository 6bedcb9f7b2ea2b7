// How far the deployments were behind, since the page was opened: the gateway tells only how far they are now.

import { effect, type Signal, signal } from "@preact/signals";
import type { Deployments } from "../core/bodies.js";

const KEPT = 1800;

export interface LagSample {
  /** Unix seconds. */
  at: number;
  waiting: number;
  oldestSeconds: number;
}

const samples = new Map<string, LagSample[]>();
/** Counts what was noted, so that those who show it know. */
export const noted = signal(0);

export function noteLags(answers: Signal<Deployments | null>): () => void {
  return effect(() => {
    const answer = answers.value;
    if (answer === null) return;
    const at = Date.parse(answer.at) / 1000;
    const there = new Set(answer.deployments.map((each) => each.name));
    for (const name of samples.keys()) if (!there.has(name)) samples.delete(name);
    for (const { name, lag } of answer.deployments) {
      const of = samples.get(name) ?? [];
      if (of.at(-1)?.at === at) continue;
      of.push({ at, waiting: lag.ready + (lag.in_flight ?? 0), oldestSeconds: lag.oldest_age_seconds ?? 0 });
      if (of.length > KEPT) of.shift();
      samples.set(name, of);
    }
    noted.value = noted.peek() + 1;
  });
}

export function lagsOf(name: string): readonly LagSample[] {
  return samples.get(name) ?? [];
}
