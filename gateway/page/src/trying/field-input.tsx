// One feature of an instance.

import { useId } from "preact/hooks";
import { type Field, isSchema } from "./schema.js";
import { nullChoice } from "./writing.js";

interface Props {
  field: Field;
  value: string;
  fault: string | undefined;
  onInput: (value: string) => void;
}

export function FieldInput({ field, value, fault, onInput }: Props) {
  const id = useId();
  const hint = [field.description, field.bounds].filter(Boolean).join(" · ");
  const common = {
    id,
    value,
    "aria-invalid": fault !== undefined,
    "aria-describedby": `${id}-hint ${id}-fault`,
    "aria-required": field.required,
  } as const;
  const typed = (event: { currentTarget: { value: string } }) => onInput(event.currentTarget.value);
  return (
    <div class={field.kind === "json" || field.kind === "numbers" ? "field whole" : "field"}>
      <label class="name" for={id} title={field.name}>
        {field.title}
        {!field.required && <span class="muted"> optional</span>}
      </label>
      {field.kind === "choice" || field.kind === "flag" ? (
        <select {...common} onChange={typed}>
          {(!field.required || value === "") && <option value="">{field.required ? "choose" : "leave out"}</option>}
          {optionsOf(field).map(([each, text]) => (
            <option key={each} value={each}>
              {text}
            </option>
          ))}
        </select>
      ) : field.kind === "json" || field.kind === "numbers" ? (
        <textarea
          {...common}
          class="code"
          rows={field.kind === "json" ? 4 : 2}
          spellcheck={false}
          onInput={typed}
          placeholder={field.kind === "json" ? "JSON" : "1, 2, 3"}
        />
      ) : (
        <input
          {...common}
          value={value === nullChoice ? "" : value}
          type="text"
          inputMode={field.kind === "text" ? "text" : "decimal"}
          class={field.kind === "text" ? "" : "number"}
          placeholder={value === nullChoice ? "null" : ""}
          autocomplete="off"
          spellcheck={false}
          onInput={typed}
        />
      )}
      <span class="hint-text" id={`${id}-hint`}>
        {hint}
      </span>
      <span class="fault" id={`${id}-fault`}>
        {fault}
      </span>
    </div>
  );
}

function optionsOf(field: Field): [string, string][] {
  const options: [string, string][] =
    field.kind === "flag"
      ? [
          ["true", "true"],
          ["false", "false"],
        ]
      : field.choices.map((each, place) => [String(place), isSchema(each) ? JSON.stringify(each) : String(each)]);
  return field.nullable ? [...options, [nullChoice, "null"]] : options;
}
