// A form to try an instance, and what each deployment answers.

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { ask, Problem } from "../core/asking.js";
import type { Answer, EndpointDetail, Json } from "../core/bodies.js";
import { tell } from "../core/telling.js";
import { Segments } from "../parts/choices.js";
import { AnswerView, Refusal } from "./answer.js";
import { FieldInput } from "./field-input.js";
import { type Form, formOf } from "./schema.js";
import { instancesText, numbersText, type Typed, typedOf, write } from "./writing.js";

const WAIT_SECONDS = 10;
const ROUNDS = 6;
type Mode = "form" | "json";
const MODES = [
  ["form", "Form"],
  ["json", "JSON"],
] as const;
/** The name of the only input where an instance is an array. */
const WHOLE = "";

export function Trying({ endpoint }: { endpoint: EndpointDetail }) {
  const schema = JSON.stringify(endpoint.schema);
  const form = useMemo(() => formOf(endpoint.schema), [schema]);
  const mode = useSignal<Mode>(form.kind === "json" ? "json" : "form");
  const typed = useSignal<Typed>(begun(form));
  const raw = useSignal(
    form.kind === "json" && form.example !== undefined ? JSON.stringify(form.example, null, 2) : "",
  );
  const faults = useSignal<Record<string, string>>({});
  const busy = useSignal(false);
  const problem = useSignal<Problem | null>(null);
  const answer = useSignal<Answer | null>(null);

  const written = () => (form.kind === "object" ? write(form.fields, typed.value) : writtenNumbers(typed.value));
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    problem.value = null;
    let instances: string;
    if (mode.value === "form") {
      const { text, faults: wrong } = written();
      faults.value = wrong;
      if (Object.keys(wrong).length > 0) {
        tell("Some values are not right");
        return focusFirstFault(element);
      }
      instances = `[${text}]`;
    } else {
      try {
        instances = instancesText(raw.value);
        faults.value = {};
      } catch (error) {
        faults.value = { [WHOLE]: (error as Error).message };
        return focusFirstFault(element);
      }
    }
    busy.value = true;
    try {
      await submitted(endpoint.name, instances, (latest) => {
        answer.value = latest;
      });
    } catch (error) {
      const told = error instanceof Problem ? error : new Problem(0, String(error));
      problem.value = told;
      answer.value = null;
      faults.value = mode.value === "form" ? faultsOf(told, form) : {};
      focusFirstFault(element);
    } finally {
      busy.value = false;
    }
  };
  const change = (next: Mode) => {
    if (next === "json" && (raw.value === "" || mode.value === "form")) {
      const { text, faults: wrong } = written();
      if (Object.keys(wrong).length === 0) raw.value = indented(text);
    }
    faults.value = {};
    mode.value = next;
  };
  const set = (name: string, value: string) => {
    typed.value = { ...typed.value, [name]: value };
    if (faults.value[name] !== undefined) faults.value = without(faults.value, name);
  };
  return (
    <div class="trying">
      <form onSubmit={(event) => void submit(event)} novalidate aria-label={`An instance for ${endpoint.name}`}>
        <div class="bar-above">
          {form.kind !== "json" ? (
            <Segments label="How to write the instance" value={mode.value} options={MODES} onChoose={change} />
          ) : (
            <p class="muted">This endpoint has no schema: anything goes. Write the instance as its models expect it.</p>
          )}
          {form.kind !== "json" && mode.value === "form" && (
            <button
              type="button"
              class="button small"
              onClick={() => {
                typed.value = examples(form);
                faults.value = {};
              }}
            >
              Fill in an example
            </button>
          )}
        </div>
        {mode.value === "json" ? (
          <JsonInput
            value={raw.value}
            fault={faults.value[WHOLE]}
            onInput={(text) => {
              raw.value = text;
            }}
          />
        ) : form.kind === "object" ? (
          <div class="fields">
            {form.fields.map((field) => (
              <FieldInput
                key={field.name}
                field={field}
                value={typed.value[field.name] ?? ""}
                fault={faults.value[field.name]}
                onInput={(value) => set(field.name, value)}
              />
            ))}
          </div>
        ) : (
          <NumbersInput
            form={form}
            value={typed.value[WHOLE] ?? ""}
            fault={faults.value[WHOLE]}
            onInput={(value) => set(WHOLE, value)}
          />
        )}
        <div class="foot">
          <button type="submit" class="button primary" disabled={busy.value}>
            {busy.value ? "Predicting …" : "Predict"}
          </button>
        </div>
      </form>
      <div aria-live="polite">
        {problem.value !== null && <Refusal problem={problem.value} />}
        {answer.value !== null && <AnswerView answer={answer.value} busy={busy.value} />}
      </div>
    </div>
  );
}

/** Submit, and wait for the end of the request for a while. */
async function submitted(endpoint: string, instances: string, onAnswer: (answer: Answer) => void): Promise<void> {
  let answer = await ask<Answer>(`/v1/endpoints/${encodeURIComponent(endpoint)}/predictions`, {
    method: "POST",
    body: `{"instances": ${instances}}`,
    headers: { "Content-Type": "application/json", Prefer: `wait=${WAIT_SECONDS}` },
    waitSeconds: WAIT_SECONDS,
  });
  onAnswer(answer);
  for (let round = 0; round < ROUNDS && answer.status === "queued"; round += 1) {
    answer = await ask<Answer>(`/v1/predictions/${encodeURIComponent(answer.id)}?wait=${WAIT_SECONDS}`, {
      waitSeconds: WAIT_SECONDS,
    });
    onAnswer(answer);
  }
}

function JsonInput({
  value,
  fault,
  onInput,
}: {
  value: string;
  fault: string | undefined;
  onInput: (text: string) => void;
}) {
  return (
    <label class="field whole">
      <span class="name">Instance, or a list of instances, as JSON</span>
      <textarea
        class="code"
        rows={12}
        value={value}
        spellcheck={false}
        aria-invalid={fault !== undefined}
        aria-describedby="json-fault"
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <span class="fault" id="json-fault">
        {fault}
      </span>
    </label>
  );
}

interface NumbersProps {
  form: Form;
  value: string;
  fault: string | undefined;
  onInput: (text: string) => void;
}

function NumbersInput({ form, value, fault, onInput }: NumbersProps) {
  const length = form.kind === "numbers" ? form.length : null;
  return (
    <label class="field whole">
      <span class="name">
        {length === null
          ? "Numbers, with commas or spaces between them"
          : `${length} numbers, with commas or spaces between them`}
      </span>
      <textarea
        class="code"
        rows={3}
        value={value}
        spellcheck={false}
        aria-invalid={fault !== undefined}
        aria-describedby="numbers-fault"
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <span class="fault" id="numbers-fault">
        {fault}
      </span>
    </label>
  );
}

function writtenNumbers(typed: Typed) {
  try {
    return { text: numbersText(typed[WHOLE] ?? ""), faults: {} };
  } catch (error) {
    return { text: "", faults: { [WHOLE]: (error as Error).message } };
  }
}

function begun(form: Form): Typed {
  if (form.kind !== "object") return {};
  return Object.fromEntries(form.fields.map((field) => [field.name, typedOf(field, field.initial)]));
}

function examples(form: Form): Typed {
  if (form.kind === "numbers")
    return {
      [WHOLE]: Array.isArray(form.example)
        ? form.example.join(", ")
        : Array(form.length ?? 4)
            .fill(1)
            .join(", "),
    };
  if (form.kind === "json") return {};
  return Object.fromEntries(form.fields.map((field) => [field.name, typedOf(field, field.example)]));
}

/** Those of the gateway's words that belong to a field: their pointer is /instances/0/NAME. */
function faultsOf({ faults }: Problem, form: Form): Record<string, string> {
  const names = form.kind === "object" ? form.fields.map((each) => each.name) : [];
  const found: Record<string, string> = {};
  for (const { pointer, detail } of faults) {
    const part = pointer.split("/")[3];
    const name = part?.replaceAll("~1", "/").replaceAll("~0", "~");
    if (name !== undefined && names.includes(name)) found[name] ??= detail;
  }
  return found;
}

function without(faults: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(faults).filter(([each]) => each !== name));
}

function indented(text: string): string {
  try {
    const value = JSON.parse(text) as Json;
    // Only where nothing is lost by it: a number of more digits than JavaScript keeps stays as it is.
    return JSON.stringify(value).replace(/\s/g, "") === text.replace(/\s/g, "") ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

function focusFirstFault(form: HTMLFormElement): void {
  requestAnimationFrame(() => form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
}
