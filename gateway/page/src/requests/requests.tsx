// All requests, by endpoint and status.

import { useSignal } from "@preact/signals";
import { ask, Problem } from "../core/asking.js";
import type { Endpoints, RequestLine, RequestPage, Status } from "../core/bodies.js";
import { goTo } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { Head, Loaded, Panel, sentence, Trouble } from "../parts/panels.js";
import { FindRequest } from "./find-request.js";
import { RequestTable } from "./request-table.js";

const STATUSES: readonly Status[] = ["queued", "succeeded", "partial", "failed", "expired", "cancelled"];

export function RequestsView({ query }: { query: URLSearchParams }) {
  const endpoints = useWatch<Endpoints>("/v1/endpoints", 10);
  const endpoint = query.get("endpoint") ?? "";
  const status = query.get("status") ?? "";
  const filter = new URLSearchParams({ limit: "50", ...(endpoint && { endpoint }), ...(status && { status }) });
  const change = (name: string, value: string) => {
    const next = new URLSearchParams({ ...(endpoint && { endpoint }), ...(status && { status }), [name]: value });
    if (value === "") next.delete(name);
    goTo(`#/requests${next.size > 0 ? `?${next}` : ""}`);
  };
  const path = `/v1/predictions?${filter}`;
  return (
    <>
      <Head title="Requests" />
      <div class="filters">
        <label>
          <span>Endpoint</span>
          <select value={endpoint} onChange={(event) => change("endpoint", event.currentTarget.value)}>
            <option value="">all</option>
            {namesOf(endpoints.body.value, endpoint).map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Status</span>
          <select value={status} onChange={(event) => change("status", event.currentTarget.value)}>
            <option value="">all</option>
            {STATUSES.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <FindRequest />
      </div>
      <Panel title="Latest first" flush>
        <Pages key={path} path={path} ofOne={endpoint !== ""} />
      </Panel>
    </>
  );
}

function namesOf(body: Endpoints | null, chosen: string): string[] {
  const names = body?.endpoints.map((each) => each.name) ?? [];
  return chosen === "" || names.includes(chosen) ? names : [...names, chosen];
}

/** The first page is live; those that were asked for behind it stay as they were. */
function Pages({ path, ofOne }: { path: string; ofOne: boolean }) {
  const first = useWatch<RequestPage>(path, 3);
  const older = useSignal<RequestLine[]>([]);
  const next = useSignal<string | null | undefined>(undefined);
  const problem = useSignal<string | null>(null);
  const more = async (cursor: string) => {
    try {
      const page = await ask<RequestPage>(`${path}&cursor=${encodeURIComponent(cursor)}`);
      // The first page moves on while one reads: what left it is kept here.
      older.value =
        older.value.length === 0
          ? [...(first.body.peek()?.predictions ?? []), ...page.predictions]
          : [...older.value, ...page.predictions];
      next.value = page.next;
      problem.value = null;
    } catch (error) {
      problem.value = error instanceof Problem ? error.message : String(error);
    }
  };
  return (
    <Loaded of={first}>
      {(page) => {
        const there = new Set(page.predictions.map((each) => each.id));
        const rows = [...page.predictions, ...older.value.filter((each) => !there.has(each.id))];
        const cursor = next.value === undefined ? page.next : next.value;
        return (
          <>
            <RequestTable caption="Requests" requests={rows} ofOne={ofOne} labels more={cursor !== null} />
            {problem.value !== null && <Trouble>{sentence(problem.value)}</Trouble>}
            {cursor !== null && (
              <div class="foot">
                <button type="button" class="button" onClick={() => void more(cursor)}>
                  Look further back
                </button>
              </div>
            )}
          </>
        );
      }}
    </Loaded>
  );
}
