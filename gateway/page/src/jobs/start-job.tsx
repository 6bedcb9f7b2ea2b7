// Choose a file, or drop one, for an endpoint.

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { upload } from "./uploading.js";

const FORMATS = ".csv,.tsv,.jsonl,.ndjson,.json,.parquet,.arrow,.feather,.gz,.zst";

interface Props {
  /** One of them is chosen. */
  endpoints: string[];
  /** Files that are there already. */
  files?: readonly File[];
  onStart?: () => void;
}

export function StartJob({ endpoints, files, onStart }: Props) {
  const id = useId();
  const chosen = useSignal("");
  const arrays = useSignal(false);
  const idColumn = useSignal("");
  const keep = useSignal("");
  const endpoint = endpoints.includes(chosen.value) ? chosen.value : (endpoints[0] ?? "");
  const start = (some: readonly File[]) => {
    const options = {
      ...(idColumn.value.trim() && { id_column: idColumn.value.trim() }),
      ...(keep.value.trim() && { keep: keep.value.trim() }),
      ...(arrays.value && { arrays: "true" }),
    };
    upload(some, endpoint, options);
    onStart?.();
  };
  const choose = (input: HTMLInputElement) => {
    start([...(input.files ?? [])]);
    input.value = "";
  };
  if (endpoints.length === 0) return <p class="muted">There is no endpoint yet that could predict it.</p>;
  return (
    <div class="start-job">
      {endpoints.length > 1 && (
        <label class="field">
          <span class="name">Endpoint</span>
          <select
            value={endpoint}
            onChange={(event) => {
              chosen.value = event.currentTarget.value;
            }}
          >
            {endpoints.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      {files === undefined ? (
        <div class="drop">
          <input id={id} type="file" accept={FORMATS} multiple onChange={(event) => choose(event.currentTarget)} />
          <label for={id} class="button primary">
            Choose a file
          </label>
          <span class="muted">or drop one anywhere on this page: CSV, JSON Lines, Parquet, Arrow</span>
        </div>
      ) : (
        <button type="button" class="button primary" onClick={() => start(files)}>
          Predict all rows
        </button>
      )}
      <details>
        <summary>Options</summary>
        <div class="fields">
          <label class="field">
            <span class="name">Id column</span>
            <input
              type="text"
              value={idColumn.value}
              onInput={(event) => {
                idColumn.value = event.currentTarget.value;
              }}
              autocomplete="off"
              spellcheck={false}
            />
          </label>
          <label class="field">
            <span class="name">Columns to keep</span>
            <input
              type="text"
              value={keep.value}
              placeholder="a, b, or *"
              onInput={(event) => {
                keep.value = event.currentTarget.value;
              }}
              autocomplete="off"
              spellcheck={false}
            />
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={arrays.value}
              onChange={(event) => {
                arrays.value = event.currentTarget.checked;
              }}
            />
            <span>A row is an array of its values, for models fitted without names</span>
          </label>
        </div>
      </details>
    </div>
  );
}
