// A time series of several deployments, live: uPlot draws, and the legend tells the values at the cursor or the last.

import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";
import { NONE } from "../core/formats.js";
import { theme } from "../core/theme.js";
import { colourOf, propertyOf } from "./colours.js";

const HEIGHT = 150;
const TOGETHER = "activity";
/** Between the figures of the time axis, in seconds. */
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];

export interface Line {
  name: string;
  values: (number | null)[];
}

type Format = (value: number | null | undefined) => string;

interface Props {
  title: string;
  /** Unix seconds. */
  times: number[];
  lines: Line[];
  format: Format;
  /** Of the figures at the axis, where it differs. */
  axis?: { format: Format; steps: number[] };
  /** What has to be known of the values. */
  note?: string;
  /** What to say while no line has a value other than 0. */
  nothing: string;
  /** The span that is shown, whether or not there are values in all of it. */
  begin: number;
  end: number;
}

export function Plot({ title, times, lines, format, axis, note, nothing, begin, end }: Props) {
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const cursor = useSignal<number | null>(null);
  const span = useRef({ begin, end });
  span.current = { begin, end };
  const shape = `${theme.value} ${lines.map((line) => line.name).join(" ")}`;
  const empty = !lines.some((line) => line.values.some((value) => value !== null && value !== 0));

  useEffect(() => {
    const target = place.current;
    if (target === null) return;
    const options = optionsOf(target.clientWidth, lines, axis ?? { format, steps: null }, span, (index) => {
      cursor.value = index;
    });
    const drawn = new uPlot(options, dataOf(times, lines), target);
    plot.current = drawn;
    const resized = new ResizeObserver(() => {
      if (target.clientWidth > 0) drawn.setSize({ width: target.clientWidth, height: HEIGHT });
    });
    resized.observe(target);
    return () => {
      resized.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(dataOf(times, lines));
  }, [times, lines]);

  const index = cursor.value;
  const at = index === null ? undefined : times[index];
  const shown = lines.map((line) => ({ ...line, value: index === null ? last(line.values) : line.values[index] }));
  const spoken = shown.map((line) => `${line.name} ${format(line.value)}`).join(", ");
  return (
    <figure class="plot" aria-labelledby={id}>
      <figcaption id={id}>
        <span class="title">{title}</span>
        {at !== undefined ? <span class="at">{clockOf(at, true)}</span> : note && <span class="at">{note}</span>}
      </figcaption>
      <div class="drawing">
        <div ref={place} role="img" aria-label={`${title}, latest: ${empty ? nothing : spoken}`} />
        {empty && <p class="nothing">{nothing}</p>}
      </div>
      <ul class="legend">
        {shown.map((line, number) => (
          <li key={line.name}>
            <i style={{ background: `var(${colourOf(number)})` }} />
            <span class="name" title={line.name}>
              {line.name}
            </span>
            <span class="value">{format(line.value)}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function optionsOf(
  width: number,
  lines: Line[],
  axis: { format: Format; steps: number[] | null },
  span: { current: { begin: number; end: number } },
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const faint = propertyOf("--line");
  const text = propertyOf("--muted");
  const font = `11px ${propertyOf("--font")}`;
  const ticks = { show: false };
  return {
    width,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: TOGETHER }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => [span.current.begin, span.current.end] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] },
    },
    axes: [
      {
        stroke: text,
        font,
        ticks,
        size: 24,
        gap: 6,
        space: 58,
        incrs: STEPS,
        grid: { show: false },
        values: (_, at) => at.map((each) => clockOf(each)),
      },
      {
        stroke: text,
        font,
        ticks,
        size: 52,
        gap: 8,
        space: 28,
        ...(axis.steps && { incrs: axis.steps }),
        grid: { stroke: faint, width: 1 },
        values: (_, at) => at.map((each) => axis.format(each)),
      },
    ],
    series: [
      {},
      ...lines.map((_, number): uPlot.Series => {
        const stroke = propertyOf(colourOf(number));
        return {
          stroke,
          width: 1.5,
          points: { show: true, size: 4, width: 0, fill: stroke, filter: alone },
        } as uPlot.Series;
      }),
    ],
    hooks: { setCursor: [(self) => onCursor(self.cursor.idx ?? null)] },
  };
}

/** Values without a neighbour: a line would not show them. */
function alone(self: uPlot, series: number, show: boolean): number[] | null {
  const values = self.data[series];
  if (!show || values === undefined) return null;
  const found: number[] = [];
  for (let index = 0; index < values.length; index += 1) {
    if (values[index] != null && values[index - 1] == null && values[index + 1] == null) found.push(index);
  }
  return found;
}

function dataOf(times: number[], lines: Line[]): uPlot.AlignedData {
  return [times, ...lines.map((line) => line.values)];
}

function last(values: (number | null)[]): number | null {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function clockOf(at: number, withSeconds = false): string {
  if (!Number.isFinite(at)) return NONE;
  const date = new Date(at * 1000);
  const two = (part: number) => String(part).padStart(2, "0");
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds || date.getSeconds() ? `${minutes}:${two(date.getSeconds())}` : minutes;
}
