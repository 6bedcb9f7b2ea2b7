// From an id, as a client was given it, to the way of its request.

import { useSignal } from "@preact/signals";
import { goTo, hrefTo } from "../core/route.js";

export function FindRequest() {
  const id = useSignal("");
  const open = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = id.value.trim();
    if (wanted !== "") goTo(hrefTo("requests", wanted));
  };
  return (
    <search class="find">
      <form onSubmit={open}>
        <label>
          <span>Open by id</span>
          <input
            type="text"
            value={id.value}
            onInput={(event) => {
              id.value = event.currentTarget.value;
            }}
            placeholder="01a20926-9364-…"
            spellcheck={false}
            autocomplete="off"
          />
        </label>
        <button type="submit" class="button">
          Open
        </button>
      </form>
    </search>
  );
}
