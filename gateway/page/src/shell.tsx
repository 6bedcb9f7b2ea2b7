// What stands around every view: the head with the ways to go, what is wrong with the whole, files that are dropped.

import { useEffect, useRef } from "preact/hooks";
import { silentSince } from "./core/asking.js";
import type { Deployments, SystemStatus } from "./core/bodies.js";
import { type Route, route } from "./core/route.js";
import { told } from "./core/telling.js";
import { type Choice, choice, choose } from "./core/theme.js";
import { useWatch } from "./core/watching.js";
import { EndpointView } from "./endpoint/endpoint.js";
import { DeadLetterView } from "./failures/dead-letter.js";
import { FailuresView } from "./failures/failures.js";
import { Dropping } from "./jobs/dropping.js";
import { JobView } from "./jobs/job.js";
import { JobsView } from "./jobs/jobs.js";
import { Overview } from "./overview/overview.js";
import { BEHIND_SECONDS } from "./overview/system.js";
import { Segments } from "./parts/choices.js";
import { Guard } from "./parts/guard.js";
import { Mark } from "./parts/marks.js";
import { Head, sentence } from "./parts/panels.js";
import { noteLags } from "./plots/history.js";
import { RequestsView } from "./requests/requests.js";
import { RequestView } from "./requests/way.js";

const WAYS = [
  ["#/", "Overview", ["overview", "endpoint"]],
  ["#/requests", "Requests", ["requests", "request"]],
  ["#/jobs", "Jobs", ["jobs", "job"]],
  ["#/failures", "Failures", ["failures", "dead-letter"]],
] as const;
const THEMES: readonly (readonly [Choice, string])[] = [
  ["system", "Auto"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function Shell() {
  const at = route.value;
  const main = useRef<HTMLElement>(null);
  const begun = useRef(false);
  const deployments = useWatch<Deployments>("/v1/deployments", 2);
  useEffect(() => noteLags(deployments.body), [deployments]);
  const place = JSON.stringify([at.view, "id" in at ? at.id : "name" in at ? at.name : ""]);
  useEffect(() => {
    document.title = titleOf(at);
    // Whoever comes to a view by a link is where the view begins, and hears its name.
    if (begun.current) main.current?.querySelector("h1")?.focus({ preventScroll: true });
    if (begun.current) scrollTo(0, 0);
    begun.current = true;
  }, [place]);
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: a fragment is a view here, so the focus is moved by hand */}
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <div class="row">
          <a class="name" href="#/" aria-label="predictq, overview">
            <Logo />
            predictq
          </a>
          <nav aria-label="Views">
            {WAYS.map(([href, text, views]) => (
              <a
                key={href}
                href={href}
                aria-current={(views as readonly string[]).includes(at.view) ? "page" : undefined}
              >
                {text}
              </a>
            ))}
          </nav>
          <Health />
          <Segments label="Colours" value={choice.value} options={THEMES} onChoose={choose} />
        </div>
      </header>
      <Silence />
      <main ref={main} id="content" tabIndex={-1}>
        <Guard key={place}>
          <View at={at} />
        </Guard>
      </main>
      <Dropping />
      <p class="unseen" role="status">
        {told.value}
      </p>
      <Foot />
    </>
  );
}

function View({ at }: { at: Route }) {
  switch (at.view) {
    case "overview":
      return <Overview />;
    case "endpoint":
      return <EndpointView key={at.name} name={at.name} />;
    case "requests":
      return <RequestsView query={at.query} />;
    case "request":
      return <RequestView key={at.id} id={at.id} />;
    case "jobs":
      return <JobsView />;
    case "job":
      return <JobView key={at.id} id={at.id} />;
    case "failures":
      return <FailuresView query={at.query} />;
    case "dead-letter":
      return <DeadLetterView key={at.id} id={at.id} />;
    case "nowhere":
      return (
        <>
          <Head title="Nothing is here" />
          <p>
            <a href="#/">To the overview</a>
          </p>
        </>
      );
  }
}

/** One word for the whole, in the head. */
function Health() {
  const status = useWatch<SystemStatus>("/v1/status", 2).body.value;
  const behind = status?.ledger.behind_seconds ?? 0;
  return (
    <p class="health" role="status">
      {silentSince.value !== null ? (
        <Mark tone="bad">no answer</Mark>
      ) : status === null ? null : !status.broker.ok ? (
        <Mark tone="bad">broker away</Mark>
      ) : !status.database.ok ? (
        <Mark tone="bad">database away</Mark>
      ) : behind > BEHIND_SECONDS ? (
        <Mark tone="warn">ledger is behind</Mark>
      ) : (
        <Mark tone="good">all is well</Mark>
      )}
    </p>
  );
}

function Silence() {
  const status = useWatch<SystemStatus>("/v1/status", 2).body.value;
  if (silentSince.value !== null) {
    return (
      <p class="banner bad" role="alert">
        The gateway does not answer. What you see is from before; the page goes on by itself when it is back.
      </p>
    );
  }
  const away =
    status === null ? null : !status.broker.ok ? status.broker : !status.database.ok ? status.database : null;
  if (away === null) return null;
  return (
    <p class="banner" role="alert">
      The {away === status?.broker ? "broker" : "database"} is away: {sentence(away.detail)} The page goes on by itself
      when it is back.
    </p>
  );
}

function Foot() {
  const version = useWatch<SystemStatus>("/v1/status", 2).body.value?.version;
  return (
    <footer class="bottom">
      <span>predictq {version}</span>
      <a href="/openapi.json">OpenAPI document</a>
    </footer>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g fill="none" stroke="var(--on-accent)" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">
        <path d="M8 10h5M8 16h9M8 22h5M20 11l5 5-5 5" />
      </g>
    </svg>
  );
}

function titleOf(at: Route): string {
  const titles: Record<Route["view"], string> = {
    overview: "Overview",
    endpoint: "name" in at ? at.name : "",
    requests: "Requests",
    request: "Request",
    jobs: "Jobs",
    job: "Job",
    failures: "Failures",
    "dead-letter": "Dead letter",
    nowhere: "Nothing is here",
  };
  return `${titles[at.view]} · predictq`;
}
