// From a JSON Schema (2020-12) of one instance to the fields of a form. What no field is made for falls back to JSON.

import type { Json } from "../core/bodies.js";

export type Schema = { [name: string]: Json };
export type Kind = "number" | "integer" | "text" | "choice" | "flag" | "numbers" | "json";

export interface Field {
  name: string;
  title: string;
  description: string;
  kind: Kind;
  required: boolean;
  nullable: boolean;
  choices: Json[];
  /** What may stand there, in words: "at least 0". */
  bounds: string;
  /** JSON of a value that is right, as far as the schema tells one. */
  example: Json | undefined;
  initial: Json | undefined;
}

export type Form =
  | { kind: "object"; fields: Field[] }
  | { kind: "numbers"; length: number | null; example: Json | undefined }
  | { kind: "json"; example: Json | undefined };

const DEEPEST = 8;

export function formOf(schema: Schema | null): Form {
  if (schema === null) return { kind: "json", example: undefined };
  const root = resolved(schema, schema);
  const example = first(root.examples) ?? root.default;
  const { kind } = kindOf(root, schema);
  if (kind === "numbers") {
    const [least, most] = [root.minItems, root.maxItems];
    return { kind: "numbers", length: typeof most === "number" && least === most ? most : null, example };
  }
  const properties = isSchema(root.properties) ? root.properties : {};
  const fields = Object.entries(properties).flatMap(([name, property]) =>
    isSchema(property) || property === true
      ? [fieldOf(name, property === true ? {} : property, root, schema, example)]
      : [],
  );
  return fields.length === 0 ? { kind: "json", example } : { kind: "object", fields };
}

function fieldOf(name: string, property: Schema, parent: Schema, root: Schema, whole: Json | undefined): Field {
  const outer = resolved(property, root);
  const { inner, nullable } = withoutNull(outer, root);
  const { kind, choices } = kindOf(inner, root);
  const of = isSchema(whole) ? whole[name] : undefined;
  const initial = outer.default ?? inner.default ?? inner.const;
  return {
    name,
    title: String(outer.title ?? inner.title ?? name),
    description: String(outer.description ?? inner.description ?? ""),
    kind,
    required: Array.isArray(parent.required) && parent.required.includes(name),
    nullable,
    choices,
    bounds: boundsOf(inner, kind),
    example: of ?? first(outer.examples) ?? first(inner.examples) ?? initial ?? guess(inner, kind, choices),
    initial,
  };
}

function kindOf(schema: Schema, root: Schema): { kind: Kind; choices: Json[] } {
  if (Array.isArray(schema.enum)) return { kind: "choice", choices: schema.enum };
  if (schema.const !== undefined) return { kind: "choice", choices: [schema.const] };
  switch (schema.type) {
    case "number":
    case "integer":
      return { kind: schema.type, choices: [] };
    case "string":
      return { kind: "text", choices: [] };
    case "boolean":
      return { kind: "flag", choices: [] };
    case "array": {
      const items = isSchema(schema.items) ? resolved(schema.items, root) : {};
      const ofNumbers = (items.type === "number" || items.type === "integer") && schema.prefixItems === undefined;
      return { kind: ofNumbers ? "numbers" : "json", choices: [] };
    }
    default:
      return { kind: "json", choices: [] };
  }
}

/** pydantic and others write an optional value as `anyOf` it and null, or as a list of types. */
function withoutNull(schema: Schema, root: Schema): { inner: Schema; nullable: boolean } {
  const branches = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(branches)) {
    const all = branches.filter(isSchema).map((each) => resolved(each, root));
    const some = all.filter((each) => each.type !== "null");
    const only = some.length === 1 ? some[0] : undefined;
    if (only !== undefined) return { inner: { ...schema, ...only }, nullable: some.length < all.length };
  }
  if (Array.isArray(schema.type)) {
    const some = schema.type.filter((each) => each !== "null");
    const only = some.length === 1 ? some[0] : undefined;
    if (only !== undefined) return { inner: { ...schema, type: only }, nullable: some.length < schema.type.length };
  }
  return { inner: schema, nullable: false };
}

/** Follows references within the document, and a lone `allOf`; what is said beside them comes first. */
function resolved(schema: Schema, root: Schema, depth = 0): Schema {
  if (depth > DEEPEST) return {};
  const { $ref: reference, allOf, ...beside } = schema;
  if (typeof reference === "string" && reference.startsWith("#")) {
    const target = pointed(root, reference.slice(1));
    return target === null ? beside : { ...resolved(target, root, depth + 1), ...beside };
  }
  const only = Array.isArray(allOf) && allOf.length === 1 ? allOf[0] : undefined;
  if (isSchema(only)) return { ...resolved(only, root, depth + 1), ...beside };
  return schema;
}

function pointed(root: Schema, pointer: string): Schema | null {
  let at: Json | undefined = root;
  for (const part of pointer.split("/").slice(1)) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isSchema(at)) return null;
    at = Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return isSchema(at) ? at : null;
}

function boundsOf(schema: Schema, kind: Kind): string {
  const said: string[] = [];
  const { minimum: least, maximum: most, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if (kind === "integer") said.push("whole");
  if (typeof least === "number") said.push(`≥ ${least}`);
  if (typeof above === "number") said.push(`> ${above}`);
  if (typeof most === "number") said.push(`≤ ${most}`);
  if (typeof below === "number") said.push(`< ${below}`);
  if (typeof schema.maxLength === "number") said.push(`≤ ${schema.maxLength} characters`);
  if (typeof schema.format === "string") said.push(schema.format);
  if (typeof schema.pattern === "string") said.push(schema.pattern);
  return said.join(", ");
}

function guess(schema: Schema, kind: Kind, choices: Json[]): Json | undefined {
  const { minimum: least, maximum: most } = schema;
  switch (kind) {
    case "number":
    case "integer": {
      const lower =
        typeof least === "number"
          ? least
          : typeof schema.exclusiveMinimum === "number"
            ? schema.exclusiveMinimum
            : null;
      if (lower === null) return typeof most === "number" ? most : 1;
      const middle = typeof most === "number" ? (lower + most) / 2 : lower + 1;
      return kind === "integer" ? Math.round(middle) : middle;
    }
    case "choice":
      return choices[0];
    case "flag":
      return false;
    case "text":
      return schema.format === undefined && schema.pattern === undefined ? "text" : undefined;
    default:
      return undefined;
  }
}

function first(examples: Json | undefined): Json | undefined {
  return Array.isArray(examples) ? examples[0] : undefined;
}

export function isSchema(value: Json | undefined): value is Schema {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
