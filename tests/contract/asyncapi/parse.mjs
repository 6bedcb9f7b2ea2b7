// Reads an AsyncAPI document from standard input; prints what the official parser says against it, and what it found.
import { readFileSync } from "node:fs";
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const faults = diagnostics.filter((each) => each.severity <= DiagnosticSeverity.Warning);
console.log(
  JSON.stringify({
    faults: faults.map((each) => `${each.path.join("/")}: ${each.message}`),
    channels: document?.channels().all().map((each) => each.address()) ?? [],
    operations: document?.operations().all().map((each) => each.id()) ?? [],
  }),
);
