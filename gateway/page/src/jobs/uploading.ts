// Files on their way to the gateway: one job each.

import { signal } from "@preact/signals";
import { noteSilence, problemOf, silentSince } from "../core/asking.js";
import type { Json } from "../core/bodies.js";
import { goTo, hrefTo } from "../core/route.js";
import { tell } from "../core/telling.js";

export interface Upload {
  number: number;
  name: string;
  endpoint: string;
  bytes: number;
  sent: number;
  /** Why it came to nothing. */
  refused: string | null;
  stop(): void;
}

export const uploads = signal<readonly Upload[]>([]);
/** Files that were dropped while it could not be told for which endpoint. */
export const undecided = signal<readonly File[]>([]);

let counted = 0;

/** Send each file; the page goes to the job of the last. */
export function upload(files: readonly File[], endpoint: string, options: Record<string, string> = {}): void {
  for (const file of files) send(file, endpoint, options);
}

export function forget(number: number): void {
  uploads.value = uploads.value.filter((each) => each.number !== number);
}

function send(file: File, endpoint: string, options: Record<string, string>): void {
  counted += 1;
  const number = counted;
  // Not fetch, which does not tell how far it is.
  const request = new XMLHttpRequest();
  const stop = () => {
    request.abort();
    forget(number);
  };
  const one: Upload = { number, name: file.name, endpoint, bytes: file.size, sent: 0, refused: null, stop };
  uploads.value = [...uploads.value, one];
  const change = (part: Partial<Upload>) => {
    uploads.value = uploads.value.map((each) => (each.number === number ? { ...each, ...part } : each));
  };
  const refuse = (why: string) => {
    change({ refused: why });
    tell(`${file.name}: ${why}`);
  };
  request.upload.onprogress = (event) => change({ sent: event.loaded });
  request.onerror = () => {
    noteSilence();
    refuse("the gateway does not answer");
  };
  request.onload = () => {
    silentSince.value = null;
    const body = parsed(request.responseText);
    const id = body !== null && typeof body === "object" && !Array.isArray(body) ? body.id : undefined;
    if (request.status === 202 && typeof id === "string") {
      forget(number);
      tell(`${file.name} was accepted as a job`);
      goTo(hrefTo("jobs", id));
      return;
    }
    const problem = problemOf(request.status, body);
    refuse([problem.message, ...problem.faults.map((fault) => fault.detail)].join("; "));
  };
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  form.append("file", file, file.name);
  request.open("POST", `/v1/endpoints/${encodeURIComponent(endpoint)}/jobs`);
  request.send(form);
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
