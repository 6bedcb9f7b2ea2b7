// Questions to the gateway, and whether it answers at all.

import { signal } from "@preact/signals";
import type { Json } from "./bodies.js";

const PATIENCE_SECONDS = 15;
const GATEWAY_AWAY = [502, 504];

export interface Fault {
  pointer: string;
  detail: string;
}

/** An error that the gateway told (RFC 9457), or that it told none: status 0. */
export class Problem extends Error {
  readonly status: number;
  readonly faults: Fault[];

  constructor(status: number, detail: string, faults: Fault[] = []) {
    super(detail);
    this.status = status;
    this.faults = faults;
  }

  /** There is nothing of that id, or it is no id. */
  get isAbsent(): boolean {
    return this.status === 404 || this.status === 400;
  }
}

/** Since when the gateway does not answer, in milliseconds; null while it does. */
export const silentSince = signal<number | null>(null);

export interface Asking {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
  /** How long the gateway was asked to hold its answer. */
  waitSeconds?: number;
}

/** The JSON of an answer. Throws a Problem, and nothing else. */
export async function ask<T>(path: string, { waitSeconds = 0, ...init }: Asking = {}): Promise<T> {
  let response: Response;
  try {
    const signal = AbortSignal.timeout((PATIENCE_SECONDS + waitSeconds) * 1000);
    response = await fetch(path, { ...init, signal, cache: "no-store" });
    if (GATEWAY_AWAY.includes(response.status)) throw new TypeError("a proxy answered");
  } catch {
    noteSilence();
    throw new Problem(0, "the gateway does not answer");
  }
  silentSince.value = null;
  if (!response.ok) throw problemOf(response.status, await bodyOf(response));
  const body = await bodyOf(response);
  if (body === undefined) throw new Problem(response.status, "the gateway answered with something that is no JSON");
  return body as T;
}

export function noteSilence(): void {
  silentSince.value ??= Date.now();
}

/** What a body says went wrong. */
export function problemOf(status: number, body: Json | undefined): Problem {
  const told = body !== null && typeof body === "object" && !Array.isArray(body) ? body : {};
  const detail = typeof told.detail === "string" ? told.detail : `the gateway answered with status ${status}`;
  const faults = (Array.isArray(told.errors) ? told.errors : []).map((each): Fault => {
    const fault = each !== null && typeof each === "object" && !Array.isArray(each) ? each : {};
    return { pointer: String(fault.pointer ?? ""), detail: String(fault.detail ?? "") };
  });
  return new Problem(status, detail, faults);
}

async function bodyOf(response: Response): Promise<Json | undefined> {
  try {
    return (await response.json()) as Json;
  } catch {
    return undefined;
  }
}
