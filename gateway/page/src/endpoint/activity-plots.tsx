// What the deployments of an endpoint did, as plots that share their time.

import { useMemo } from "preact/hooks";
import type { Activity, Deployment } from "../core/bodies.js";
import { brief, briefSeconds, count, seconds } from "../core/formats.js";
import { lagsOf, noted } from "../plots/history.js";
import { type Line, Plot } from "../plots/plot.js";
import { timesOf } from "../plots/rates.js";
import { Latency } from "./latency.js";

/** Nothing waits by halves. */
const COUNTS = {
  format: brief,
  steps: [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power)),
};
/** Round figures below a minute, minutes and hours above. */
const DURATIONS = {
  format: briefSeconds,
  steps: [
    ...[-6, -5, -4, -3, -2, -1, 0, 1].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power)),
    ...[60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 432_000, 864_000],
  ].filter((each) => each <= 20 || each >= 60),
};

interface Props {
  activity: Activity;
  deployments: Deployment[];
}

export function ActivityPlots({ activity, deployments }: Props) {
  const names = deployments.map((each) => each.name);
  const key = names.join(" ");
  const begin = Date.parse(activity.begin) / 1000;
  const end = Date.parse(activity.end) / 1000;
  const told = useMemo(() => toldBy(activity, names), [activity, key]);
  const seen = useMemo(() => seenSince(begin, names), [noted.value, begin, key]);
  const idle = "No mini-batches in this time";
  return (
    <div class="plots">
      <Plot
        title="Requests per second"
        times={told.times}
        lines={told.rates}
        format={brief}
        nothing={idle}
        begin={begin}
        end={end}
      />
      <Plot
        title="Waiting requests"
        times={seen.times}
        lines={seen.waiting}
        format={counted}
        axis={COUNTS}
        nothing="Nothing waits"
        note="since you opened the page"
        begin={begin}
        end={seen.end ?? end}
      />
      <Plot
        title="Age of the oldest"
        times={seen.times}
        lines={seen.oldest}
        format={seconds}
        axis={DURATIONS}
        nothing="Nothing waits"
        note="since you opened the page"
        begin={begin}
        end={seen.end ?? end}
      />
      <Plot
        title="Mini-batch size (instances)"
        times={told.times}
        lines={told.sizes}
        format={brief}
        nothing={idle}
        begin={begin}
        end={end}
      />
      <Plot
        title="Predict time per mini-batch"
        times={told.times}
        lines={told.predicting}
        format={seconds}
        axis={DURATIONS}
        nothing={idle}
        begin={begin}
        end={end}
      />
      <Latency activity={activity} names={names} />
    </div>
  );
}

function counted(value: number | null | undefined): string {
  return value !== null && value !== undefined && value < 1000 ? count(Math.round(value * 10) / 10) : brief(value);
}

function toldBy(activity: Activity, names: string[]) {
  const all = names.map((name) => ({ name, series: activity.deployments.find((each) => each.name === name) }));
  const steps = Math.max(0, ...activity.deployments.map((each) => each.requests.length));
  const blank = Array.from({ length: steps }, () => null);
  const of = (pick: (series: Activity["deployments"][number]) => (number | null)[]): Line[] =>
    all.map(({ name, series }) => ({ name, values: series ? pick(series) : blank }));
  return {
    times: timesOf(activity, steps),
    rates: of((series) => series.requests.map((many) => many / activity.step_seconds)),
    sizes: of((series) => series.batch_size),
    predicting: of((series) => series.predict_seconds),
  };
}

/** Samples of all deployments are taken at the same moments. */
function seenSince(begin: number, names: string[]) {
  const all = names.map((name) => ({ name, samples: lagsOf(name).filter((each) => each.at >= begin) }));
  const times = [...new Set(all.flatMap(({ samples }) => samples.map((each) => each.at)))].sort((a, b) => a - b);
  const of = (pick: (sample: (typeof all)[number]["samples"][number]) => number): Line[] =>
    all.map(({ name, samples }) => {
      const values = new Map(samples.map((each) => [each.at, pick(each)]));
      return { name, values: times.map((at) => values.get(at) ?? null) };
    });
  return { times, end: times.at(-1), waiting: of((each) => each.waiting), oldest: of((each) => each.oldestSeconds) };
}
