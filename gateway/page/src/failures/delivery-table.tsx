// Deliveries: what was pushed where, what came of it, and once more.

import { useSignal } from "@preact/signals";
import { ask, Problem } from "../core/asking.js";
import type { Delivery } from "../core/bodies.js";
import { count } from "../core/formats.js";
import { hrefTo } from "../core/route.js";
import { tell } from "../core/telling.js";
import { State } from "../parts/marks.js";
import { Empty, sentence, Trouble } from "../parts/panels.js";
import { Table } from "../parts/table.js";
import { Ago } from "../parts/texts.js";

interface Props {
  deliveries: Delivery[];
  caption: string;
  onReplay: () => void;
  linked?: boolean;
}

export function DeliveryTable({ deliveries, caption, onReplay, linked }: Props) {
  const problem = useSignal<string | null>(null);
  const replay = async (id: string) => {
    try {
      await ask(`/v1/deliveries/${encodeURIComponent(id)}/replay`, { method: "POST" });
      problem.value = null;
      tell("Will be delivered again");
      onReplay();
    } catch (error) {
      problem.value = error instanceof Problem ? error.message : String(error);
    }
  };
  if (deliveries.length === 0) {
    return (
      <Empty title="No failed deliveries">
        <p>A result that could not be pushed to its webhook would stand here.</p>
      </Empty>
    );
  }
  return (
    <>
      <Table
        caption={caption}
        rows={deliveries}
        keyOf={(each) => each.id}
        columns={[
          {
            title: "To",
            heads: true,
            wide: true,
            cell: ({ url }) => (
              <span class="cut" title={url}>
                {url}
              </span>
            ),
          },
          {
            title: "Event",
            cell: ({ event, subject }) =>
              linked ? <a href={hrefTo(event.startsWith("job.") ? "jobs" : "requests", subject)}>{event}</a> : event,
          },
          {
            title: "Last answer",
            wide: true,
            cell: (each) => (
              <span class="cut" title={lastOf(each)}>
                {lastOf(each)}
              </span>
            ),
          },
          { title: "Attempts", figures: true, cell: ({ attempts }) => count(attempts) },
          { title: "State", cell: ({ state }) => <State of={state} /> },
          { title: "Since", figures: true, cell: ({ created_at }) => <Ago of={created_at} /> },
          {
            title: "Again",
            cell: ({ id, url }) => (
              <button
                type="button"
                class="button small"
                onClick={() => void replay(id)}
                aria-label={`Deliver again to ${url}`}
              >
                Deliver again
              </button>
            ),
          },
        ]}
      />
      {problem.value !== null && <Trouble>{sentence(problem.value)}</Trouble>}
    </>
  );
}

function lastOf({ history }: Delivery): string {
  const attempt = history.at(-1);
  if (attempt === undefined) return "not tried yet";
  return attempt.error ?? (attempt.status === null ? "no answer" : String(attempt.status));
}
