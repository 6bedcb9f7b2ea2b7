// What the steps of an activity say about now.

import type { Activity, Series } from "../core/bodies.js";

const RECENT_SECONDS = 10;

/** Requests a second over the last ten seconds or so. */
export function rateOf(series: Series, activity: Activity): number {
  const steps = Math.max(1, Math.round(RECENT_SECONDS / activity.step_seconds));
  const recent = series.requests.slice(-steps);
  return recent.length === 0 ? 0 : total(recent) / (recent.length * activity.step_seconds);
}

/** The mean of a mini-batch, over all steps, each weighted by its batches. */
export function meanOf(series: Series, of: "batch_size" | "predict_seconds"): number | null {
  let sum = 0;
  let batches = 0;
  series[of].forEach((value, step) => {
    const many = series.batches[step] ?? 0;
    if (value === null) return;
    sum += value * many;
    batches += many;
  });
  return batches === 0 ? null : sum / batches;
}

export function total(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The middle of each step, in Unix seconds. */
export function timesOf({ begin, step_seconds }: Activity, steps: number): number[] {
  const first = Date.parse(begin) / 1000 + step_seconds / 2;
  return Array.from({ length: steps }, (_, step) => first + step * step_seconds);
}
