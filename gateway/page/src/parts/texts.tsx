// Times, ids, JSON, commands.

import { useSignal } from "@preact/signals";
import type { Json } from "../core/bodies.js";
import { ago, bytes, fullMoment, moment, NONE, shortId } from "../core/formats.js";
import { hrefTo } from "../core/route.js";
import { tell } from "../core/telling.js";

const SHOWN = 20_000;

export function Moment({ of }: { of: string | null | undefined }) {
  if (!of) return NONE;
  return (
    <time dateTime={of} title={fullMoment(of)}>
      {moment(of)}
    </time>
  );
}

export function Ago({ of }: { of: string | null | undefined }) {
  if (!of) return NONE;
  return (
    <time dateTime={of} title={fullMoment(of)}>
      {ago(of, Date.now())}
    </time>
  );
}

/** A short id that leads to what it names. */
export function IdLink({ to, id }: { to: string; id: string }) {
  return (
    <a class="id" href={hrefTo(to, id)} title={id}>
      {shortId(id)}
    </a>
  );
}

export function EndpointLink({ name }: { name: string | null }) {
  return name === null ? NONE : <a href={hrefTo("endpoints", name)}>{name}</a>;
}

/** Why something went wrong, cut to a few lines. */
export function Reason({ of }: { of: string | null }) {
  return (
    <span class="cut lines" title={of ?? ""}>
      {of ?? NONE}
    </span>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const done = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return tell("The browser does not allow it");
    }
    done.value = true;
    tell(`${what} copied`);
    setTimeout(() => {
      done.value = false;
    }, 1500);
  };
  if (!navigator.clipboard) return null;
  return (
    <button type="button" class="copy" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      {done.value ? "Copied" : "Copy"}
    </button>
  );
}

export function Command({ children }: { children: string }) {
  return (
    <div class="command">
      <code>{children}</code>
      <Copy text={children} what="the command" />
    </div>
  );
}

/** JSON or any other text, as text, in a box that scrolls by itself. */
export function Source({ text, label }: { text: string; label: string }) {
  const rest = text.length - SHOWN;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section class="source" tabIndex={0} aria-label={label}>
      <pre>{rest > 0 ? `${text.slice(0, SHOWN)}\n… ${bytes(rest)} more` : text}</pre>
    </section>
  );
}

/** Indented, with lists of plain values on one line. */
export function pretty(value: Json): string {
  return JSON.stringify(value, null, 2).replace(/\[\n([^[\]{}]*)\]/g, (_, inside: string) => {
    const line = inside.trim().replace(/\n\s*/g, " ");
    return line.length < 80 ? `[${line}]` : `[\n${inside}]`;
  });
}
