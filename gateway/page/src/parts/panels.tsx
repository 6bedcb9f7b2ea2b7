// Boxes, and what stands in them while there is nothing to show.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Watched } from "../core/watching.js";

interface PanelProps {
  title: string;
  /** Beside the title. */
  aside?: ComponentChildren;
  children: ComponentChildren;
  /** Lets what is in it reach its edges. */
  flush?: boolean;
}

export function Panel({ title, aside, children, flush }: PanelProps) {
  const id = useId();
  return (
    <section class={flush ? "panel flush" : "panel"} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      <div class="inside">{children}</div>
    </section>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="title">{title}</p>
      {children}
    </div>
  );
}

export function Trouble({ children }: { children: ComponentChildren }) {
  return (
    <p class="trouble" role="alert">
      {children}
    </p>
  );
}

/** What was answered last, with a word where it is not fresh; otherwise what is wrong, or that one has to wait. */
export function Loaded<T>({ of, children }: { of: Watched<T>; children: (body: T) => ComponentChildren }) {
  const body = of.body.value;
  const problem = of.problem.value;
  if (body === null) {
    if (problem === null) return <p class="loading">Loading …</p>;
    return <Trouble>{sentence(problem.message)}</Trouble>;
  }
  return (
    <>
      {problem !== null && problem.status !== 0 && <Trouble>Not fresh: {problem.message}.</Trouble>}
      {children(body)}
    </>
  );
}

export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

export function Fact({ name, children, broad }: { name: string; children: ComponentChildren; broad?: boolean }) {
  return (
    <div class={broad ? "fact broad" : "fact"}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The head of a view: its name, which the focus goes to when one comes to it. */
export function Head({
  title,
  children,
  above,
}: {
  title: ComponentChildren;
  above?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <div class="head">
      {above !== undefined && <nav aria-label="Path">{above}</nav>}
      <h1 tabIndex={-1}>{title}</h1>
      {children}
    </div>
  );
}
