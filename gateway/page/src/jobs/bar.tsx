// How far a job is, in rows.

import type { Job } from "../core/bodies.js";
import { count } from "../core/formats.js";

const PARTS = ["succeeded", "failed", "expired", "cancelled"] as const;

export function Bar({ job, tall }: { job: Job; tall?: boolean }) {
  const { counts } = job;
  const over = job.completed_at !== null;
  const done = counts.succeeded + counts.failed + counts.expired + counts.cancelled;
  const total = counts.total ?? (over ? done : done + counts.queued);
  const share = (rows: number) => `${total > 0 ? (100 * rows) / total : 0}%`;
  const known = counts.total !== null || over;
  return (
    <div
      class={`bar ${tall ? "tall" : ""} ${!known ? "unknown" : ""}`}
      role="progressbar"
      aria-label={`Rows of the job${job.source ? ` of ${job.source}` : ""} that are done`}
      aria-valuemin={0}
      aria-valuemax={known ? total : undefined}
      aria-valuenow={known ? done : undefined}
      aria-valuetext={
        known ? `${count(done)} of ${count(total)} rows` : `${count(done)} rows, the file is still being read`
      }
    >
      {PARTS.map((part) => (
        <i key={part} class={part} style={{ width: share(counts[part]) }} />
      ))}
    </div>
  );
}
