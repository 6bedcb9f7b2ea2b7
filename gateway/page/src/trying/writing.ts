// From what was typed to the text of an instance. Numbers stay as they were written: JavaScript's would lose digits.

import type { Json } from "../core/bodies.js";
import type { Field } from "./schema.js";

export type Typed = Record<string, string>;
export interface Written {
  text: string;
  /** By field, what is wrong. */
  faults: Record<string, string>;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NULL = "\u0000null";

/** The value of an input that stands for null. */
export const nullChoice = NULL;

export function write(fields: Field[], typed: Typed): Written {
  const faults: Record<string, string> = {};
  const members: string[] = [];
  for (const field of fields) {
    try {
      const text = writeOne(field, typed[field.name] ?? "");
      if (text !== null) members.push(`${JSON.stringify(field.name)}: ${text}`);
    } catch (error) {
      faults[field.name] = (error as Error).message;
    }
  }
  return { text: `{${members.join(", ")}}`, faults };
}

function writeOne(field: Field, typed: string): string | null {
  const trimmed = typed.trim();
  if (typed === NULL) return "null";
  if (trimmed === "" && field.kind !== "text") {
    if (!field.required) return null;
    if (field.nullable) return "null";
    throw new Error("is needed");
  }
  switch (field.kind) {
    case "number":
    case "integer":
      return numberText(trimmed);
    case "numbers":
      return numbersText(trimmed);
    case "choice":
      return JSON.stringify(field.choices[Number(typed)]);
    case "flag":
      return typed;
    case "json":
      return jsonText(trimmed);
    case "text":
      if (typed === "" && !field.required) return null;
      return JSON.stringify(typed);
  }
}

function numberText(text: string): string {
  if (NUMBER.test(text)) return text;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error("is no number");
  return String(value);
}

/** Numbers between commas, white space or both, with brackets around them or without. */
export function numbersText(text: string): string {
  const parts = text
    .replace(/^\[|\]$/g, "")
    .split(/[\s,;]+/)
    .filter((part) => part !== "");
  return `[${parts.map(numberText).join(", ")}]`;
}

function jsonText(text: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`is no JSON: ${(error as Error).message}`);
  }
  return text;
}

/** The text of `instances`: one instance, or a list of them. Throws an Error that says what is wrong. */
export function instancesText(raw: string): string {
  const text = jsonText(raw.trim());
  const value = JSON.parse(text) as Json;
  if (Array.isArray(value)) {
    const several = value.length > 0 && value.every((each) => each !== null && typeof each === "object");
    return several ? text : `[${text}]`;
  }
  if (value === null || typeof value !== "object")
    throw new Error("an instance is an object of features or an array of numbers");
  return `[${text}]`;
}

/** What stands in the input of a field for a value. */
export function typedOf(field: Field, value: Json | undefined): string {
  if (value === undefined) return "";
  if (value === null) return field.nullable ? NULL : "";
  switch (field.kind) {
    case "choice": {
      const place = field.choices.findIndex((each) => JSON.stringify(each) === JSON.stringify(value));
      return place < 0 ? "" : String(place);
    }
    case "numbers":
      return Array.isArray(value) ? value.join(", ") : "";
    case "json":
      return JSON.stringify(value, null, 2);
    default:
      return typeof value === "object" ? JSON.stringify(value) : String(value);
  }
}
