// Files that are dropped anywhere on the page, and those that are on their way.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Endpoints } from "../core/bodies.js";
import { bytes, percent } from "../core/formats.js";
import { route } from "../core/route.js";
import { useWatch } from "../core/watching.js";
import { sentence } from "../parts/panels.js";
import { StartJob } from "./start-job.js";
import { forget, type Upload, undecided, upload, uploads } from "./uploading.js";

export function Dropping() {
  const endpoints = useWatch<Endpoints>("/v1/endpoints", 10).body.value?.endpoints.map((each) => each.name) ?? [];
  const over = useSignal(false);
  const names = useRef(endpoints);
  names.current = endpoints;
  useEffect(() => {
    let depth = 0;
    const withFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!withFiles(event)) return;
      depth += 1;
      over.value = true;
    };
    const leave = (event: DragEvent) => {
      if (!withFiles(event)) return;
      depth = Math.max(0, depth - 1);
      over.value = depth > 0;
    };
    const hold = (event: DragEvent) => {
      if (withFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!withFiles(event)) return;
      event.preventDefault();
      depth = 0;
      over.value = false;
      take([...(event.dataTransfer?.files ?? [])], names.current);
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: hold, drop } as const;
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener as EventListener);
    };
  }, [over]);
  return (
    <>
      {over.value && (
        <div class="dropping" aria-hidden="true">
          <p>Drop it to predict all its rows{targetOf(endpoints) === null ? "" : ` with ${targetOf(endpoints)}`}</p>
        </div>
      )}
      {undecided.value.length > 0 && <Ask endpoints={endpoints} files={undecided.value} />}
      {uploads.value.length > 0 && (
        <section class="uploads" aria-label="Uploads">
          {uploads.value.map((each) => (
            <One key={each.number} of={each} />
          ))}
        </section>
      )}
    </>
  );
}

function take(files: readonly File[], endpoints: string[]): void {
  const endpoint = targetOf(endpoints);
  if (files.length === 0) return;
  if (endpoint === null) undecided.value = files;
  else upload(files, endpoint);
}

/** The endpoint that one looks at, or the only one. */
function targetOf(endpoints: string[]): string | null {
  const at = route.value;
  if (at.view === "endpoint" && endpoints.includes(at.name)) return at.name;
  return endpoints.length === 1 ? (endpoints[0] ?? null) : null;
}

function Ask({ endpoints, files }: { endpoints: string[]; files: readonly File[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = () => {
    undecided.value = [];
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="ask-title">
      <h2 id="ask-title">Predict {files.length === 1 ? files[0]?.name : `${files.length} files`}</h2>
      <StartJob endpoints={endpoints} files={files} onStart={close} />
      <p class="leave">
        <button type="button" class="button" onClick={() => dialog.current?.close()}>
          Leave it
        </button>
      </p>
    </dialog>
  );
}

function One({ of }: { of: Upload }) {
  const share = of.bytes > 0 ? Math.min(1, of.sent / of.bytes) : 1;
  return (
    <div class="upload">
      <p>
        <strong class="cut" title={of.name}>
          {of.name}
        </strong>
        <span class="muted"> to {of.endpoint}</span>
      </p>
      {of.refused === null ? (
        <>
          <div
            class="bar"
            role="progressbar"
            aria-label={`Upload of ${of.name}`}
            aria-valuenow={Math.round(share * 100)}
            aria-valuemin={0}
            aria-valuemax={100}
          >
            <i class="running" style={{ width: `${share * 100}%` }} />
          </div>
          <p class="muted">
            {percent(share)} of {bytes(of.bytes)}
          </p>
          <button type="button" class="button small" onClick={of.stop} aria-label={`Stop the upload of ${of.name}`}>
            Stop
          </button>
        </>
      ) : (
        <>
          <p class="bad" role="alert">
            {sentence(of.refused)}
          </p>
          <button
            type="button"
            class="button small"
            onClick={() => forget(of.number)}
            aria-label={`Dismiss ${of.name}`}
          >
            Dismiss
          </button>
        </>
      )}
    </div>
  );
}
