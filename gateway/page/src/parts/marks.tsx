// Small things that say how something is. Never by colour alone.

import type { ComponentChildren } from "preact";

type Tone = "good" | "bad" | "warn" | "busy" | "quiet";

const TONES: Record<string, Tone> = {
  succeeded: "good",
  completed: "good",
  delivered: "good",
  serving: "good",
  redriven: "quiet",
  failed: "bad",
  open: "bad",
  "no-workers": "bad",
  partial: "warn",
  expired: "warn",
  queued: "busy",
  running: "busy",
  pending: "busy",
  cancelled: "quiet",
  unknown: "quiet",
};
const WORDS: Record<string, string> = { "no-workers": "no workers" };

export function State({ of }: { of: string }) {
  return <Mark tone={TONES[of] ?? "quiet"}>{WORDS[of] ?? of}</Mark>;
}

export function Mark({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`mark ${tone}`}>
      <span class="dot" aria-hidden="true" />
      {children}
    </span>
  );
}

export function Tag({ children }: { children: ComponentChildren }) {
  return <span class="tag">{children}</span>;
}

/** Labels that a client gave. */
export function Labels({ of }: { of: Record<string, string> | null | undefined }) {
  const labels = Object.entries(of ?? {});
  if (labels.length === 0) return null;
  return (
    <ul class="labels" aria-label="Labels">
      {labels.map(([name, value]) => (
        <li key={name}>
          <span class="muted">{name}</span> {value}
        </li>
      ))}
    </ul>
  );
}
