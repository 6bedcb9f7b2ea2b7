// Answers that are asked for again and again while somebody looks at them, once for all who look.

import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, Problem } from "./asking.js";

const KEPT = 60;

/** The latest answer, and what went wrong since. */
export interface Watched<T> {
  readonly body: Signal<T | null>;
  readonly problem: Signal<Problem | null>;
  again(): void;
}

class Watch<T> implements Watched<T> {
  readonly body = signal<T | null>(null);
  readonly problem = signal<Problem | null>(null);
  private users = 0;
  private seconds = 1;
  private timer = 0;
  private asking = false;

  constructor(private readonly path: string) {}

  get used(): boolean {
    return this.users > 0;
  }

  join(seconds: number): () => void {
    this.users += 1;
    this.seconds = seconds;
    if (this.users === 1) this.again();
    return () => {
      this.users -= 1;
      if (!this.used) clearTimeout(this.timer);
    };
  }

  again(): void {
    clearTimeout(this.timer);
    if (!this.used || this.asking || document.hidden) return;
    void this.askOnce();
  }

  private async askOnce(): Promise<void> {
    this.asking = true;
    try {
      this.body.value = await ask<T>(this.path);
      this.problem.value = null;
    } catch (error) {
      this.problem.value = error instanceof Problem ? error : new Problem(0, String(error));
    } finally {
      this.asking = false;
    }
    if (this.used) this.timer = window.setTimeout(() => this.again(), this.seconds * 1000);
  }
}

const watches = new Map<string, Watch<unknown>>();

document.addEventListener("visibilitychange", () => {
  for (const each of watches.values()) each.again();
});

/** The answer to `path`, asked for every so many seconds while the component is there and the page is seen. */
export function useWatch<T>(path: string, seconds: number): Watched<T> {
  const watch = watchOf<T>(path);
  useEffect(() => watch.join(seconds), [watch, seconds]);
  return watch;
}

function watchOf<T>(path: string): Watch<T> {
  let watch = watches.get(path) as Watch<T> | undefined;
  if (watch === undefined) {
    for (const [other, { used }] of watches) {
      if (watches.size < KEPT) break;
      if (!used) watches.delete(other);
    }
    watch = new Watch<T>(path);
    watches.set(path, watch as Watch<unknown>);
  }
  return watch;
}
