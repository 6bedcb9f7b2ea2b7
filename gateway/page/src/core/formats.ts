// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

export const NONE = "–";

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** At most four characters or so, for axes and rates: 0, 0.25, 9.8, 312, 4.1K. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (Math.abs(value) >= 1000) return short.format(value);
  return fixed(value);
}

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 0.000_95) return `${fixed(value * 1e6)} µs`;
  if (size < 0.9995) return `${fixed(value * 1e3)} ms`;
  if (size < 99.5) return `${fixed(value)} s`;
  return span(Math.round(value));
}

/** One figure and one unit, for axes. */
export function briefSeconds(value: number | null | undefined): string {
  if (value === null || value === undefined || Math.abs(value) < 100) return seconds(value);
  if (value < 7200) return `${fixed(value / 60)} min`;
  return value < 172_800 ? `${fixed(value / 3600)} h` : `${fixed(value / 86_400)} d`;
}

/** A duration of minutes or more, by its two largest units. */
function span(value: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => Math.abs(value) >= size);
  let rest = value;
  const parts = units.slice(first, first + 2).map(([size, unit]) => {
    const many = Math.trunc(rest / size);
    rest -= many * size;
    return many ? `${many} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ");
}

export function percent(value: number): string {
  const hundred = value * 100;
  if (hundred > 0 && hundred < 0.1) return "<0.1 %";
  if (hundred > 99.9 && hundred < 100) return ">99.9 %";
  return `${hundred.toFixed(1)} %`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${fixed(value / 1e3)} kB`;
  if (value < 1e9) return `${fixed(value / 1e6)} MB`;
  return `${fixed(value / 1e9)} GB`;
}

/** The time of day, with the date where it is not today's. */
export function moment(wire: string): string {
  const at = new Date(wire);
  if (Number.isNaN(at.getTime())) return wire;
  const time = clock.format(at);
  return at.toDateString() === new Date().toDateString() ? time : `${day.format(at)}, ${time}`;
}

export function fullMoment(wire: string): string {
  const at = new Date(wire);
  return Number.isNaN(at.getTime()) ? wire : full.format(at);
}

export function ago(wire: string, now: number): string {
  const past = (now - Date.parse(wire)) / 1000;
  if (Number.isNaN(past)) return wire;
  return past < 1
    ? "now"
    : `${past < 60 ? `${Math.floor(past)} s` : span(Math.floor(past)).split(" ", 2).join(" ")} ago`;
}

export function between(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

export function plural(many: number, one: string, several = `${one}s`): string {
  return `${count(many)} ${many === 1 ? one : several}`;
}

/** The part of an id by which people tell it from its neighbours: those of UUIDv7 begin alike. */
export function shortId(id: string): string {
  return id.length > 13 ? `${id.slice(0, 4)}…${id.slice(-8)}` : id;
}

function fixed(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
