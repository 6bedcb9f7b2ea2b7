// Builds the page: `node build.mjs [FOLDER]`, by default into the package of the gateway.
// Names carry a hash of what is in the file, so that a browser may keep it for ever.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "../src/predictq_gateway/page/built");

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: [{ in: "src/main.tsx", out: "page" }],
  outdir: "out",
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: ["chrome120", "firefox128", "safari17.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
});

const icon = { kind: "svg", contents: await readFile(join(here, "src/icon.svg")) };
const parts = outputFiles.map((file) => ({ kind: file.path.split(".").pop(), contents: file.contents }));
const names = {};
await mkdir(target, { recursive: true });
for (const name of await readdir(target)) await rm(join(target, name));
for (const { kind, contents } of [icon, ...parts]) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  names[kind] = `page-${hash}.${kind}`;
  await writeFile(join(target, names[kind]), contents);
}
const html = await readFile(join(here, "src/index.html"), "utf8");
await writeFile(
  join(target, "index.html"),
  html.replace(/\{(svg|css|js)\}/g, (_, kind) => names[kind]),
);
