// Outputs of one deployment, an instance each: classes with their probabilities, figures, or whatever JSON they are.

import { useSignal } from "@preact/signals";
import type { InstanceError, Json } from "../core/bodies.js";
import { count, percent } from "../core/formats.js";
import { pretty, Source } from "../parts/texts.js";
import { isSchema } from "./schema.js";

const SHOWN = 10;
const CLASSES = 8;

export function Outputs({ outputs: given, errors }: { outputs: Json[]; errors: InstanceError[] }) {
  const all = useSignal(false);
  // Of a request that failed as a whole every output is null, which tells nothing.
  const whole = errors.some((each) => each.index === null);
  const outputs = whole && given.every((each) => each === null) ? [] : given;
  const shown = all.value ? outputs : outputs.slice(0, SHOWN);
  const rest = outputs.length - shown.length;
  return (
    <div class="outputs">
      {errors
        .filter((each) => each.index === null)
        .map((each) => (
          <Wrong key={each.type} of={each} />
        ))}
      {outputs.length > 0 && (
        <ol class={outputs.length === 1 ? "single" : ""}>
          {shown.map((output, index) => {
            const wrong = errors.find((each) => each.index === index);
            return <li key={index}>{wrong ? <Wrong of={wrong} /> : <Output of={output} />}</li>;
          })}
        </ol>
      )}
      {outputs.length === 0 && errors.length === 0 && <p class="muted">No outputs.</p>}
      {rest > 0 && (
        <button
          type="button"
          class="button small"
          onClick={() => {
            all.value = true;
          }}
        >
          Show {count(rest)} more
        </button>
      )}
    </div>
  );
}

function Wrong({ of }: { of: InstanceError }) {
  return (
    <p class="reason">
      <code>{of.type}</code> {of.detail}
    </p>
  );
}

function Output({ of }: { of: Json }) {
  if (isSchema(of) && "label" in of && isSchema(of.probabilities)) {
    return (
      <Classes
        label={textOf(of.label ?? null)}
        probabilities={Object.entries(of.probabilities).map(([name, each]) => [name, Number(each)])}
      />
    );
  }
  if (of === null || typeof of !== "object") return <p class="verdict">{textOf(of)}</p>;
  return <Source text={pretty(of)} label="Output" />;
}

function Classes({ label, probabilities }: { label: string; probabilities: [string, number][] }) {
  const sorted = [...probabilities].sort(([, a], [, b]) => b - a);
  return (
    <>
      <p class="verdict">{label}</p>
      <dl class="classes">
        {sorted.slice(0, CLASSES).map(([name, share]) => (
          <div key={name}>
            <dt class="cut" title={name}>
              {name}
            </dt>
            <dd>
              <span class="share" aria-hidden="true">
                <i style={{ width: `${100 * share}%` }} />
              </span>
              <span class="value">{percent(share)}</span>
            </dd>
          </div>
        ))}
      </dl>
      {sorted.length > CLASSES && <p class="muted">and {count(sorted.length - CLASSES)} more classes</p>}
    </>
  );
}

function textOf(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
