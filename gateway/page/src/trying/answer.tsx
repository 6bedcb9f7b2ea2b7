// What came back: the answer of each deployment, or why there is none.

import type { Problem } from "../core/asking.js";
import type { Answer } from "../core/bodies.js";
import { hrefTo } from "../core/route.js";
import { State } from "../parts/marks.js";
import { sentence } from "../parts/panels.js";
import { Outputs } from "./outputs.js";

export function AnswerView({ answer, busy }: { answer: Answer; busy: boolean }) {
  const predictions = answer.predictions ?? [];
  return (
    <section class="answer" aria-label="Answer">
      <header>
        <h3>Answer</h3>
        <State of={answer.status} />
        <a class="more" href={hrefTo("requests", answer.id)}>
          Its way
        </a>
      </header>
      {predictions.map((each) => (
        <div class="of" key={each.deployment}>
          <h4>
            <span class="cut" title={each.deployment}>
              {each.deployment}
            </span>
            <State of={each.status} />
          </h4>
          <Outputs outputs={each.outputs} errors={each.errors} />
        </div>
      ))}
      {answer.status === "queued" && (
        <p class="muted">
          {busy
            ? "Accepted; some deployment has not answered yet."
            : "Accepted, and not answered yet. It is kept until a worker comes."}
        </p>
      )}
    </section>
  );
}

export function Refusal({ problem }: { problem: Problem }) {
  return (
    <div class="trouble" role="alert">
      <p>{sentence(problem.message)}</p>
      {problem.faults.length > 0 && (
        <ul>
          {problem.faults.map((fault) => (
            <li key={`${fault.pointer} ${fault.detail}`}>
              <code>{fault.pointer}</code> {fault.detail}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
