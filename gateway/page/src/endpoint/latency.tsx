// Percentiles of the latency, as bars of one scale.

import type { Activity } from "../core/bodies.js";
import { NONE, plural, seconds } from "../core/formats.js";
import { colourOf } from "../plots/colours.js";

const PERCENTILES = ["p50", "p90", "p99"] as const;

export function Latency({ activity, names }: { activity: Activity; names: string[] }) {
  const rows = names.map((name, place) => ({
    name,
    place,
    latency: activity.deployments.find((each) => each.name === name)?.latency_seconds,
  }));
  const most = Math.max(...rows.map(({ latency }) => latency?.p99 ?? 0), 1e-9);
  const title = "Latency, from published to predicted";
  return (
    <figure class="plot latency">
      <figcaption>
        <span class="title" title="Of the oldest request of each mini-batch, so that it is a bound from above">
          {title}
        </span>
      </figcaption>
      <table>
        <caption class="unseen">{title}</caption>
        <thead>
          <tr>
            <th scope="col">
              <span class="unseen">Deployment</span>
            </th>
            {PERCENTILES.map((each) => (
              <th key={each} scope="col">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, place, latency }) => (
            <tr key={name}>
              <th scope="row">
                <span class="name cut" title={name}>
                  {name}
                </span>
                <span class="muted">{latency && latency.of > 0 ? plural(latency.of, "request") : "no requests"}</span>
                {latency && latency.of > 0 && (
                  <span class="bars" aria-hidden="true">
                    {PERCENTILES.map((each) => (
                      <i
                        key={each}
                        style={{
                          width: `${(100 * (latency?.[each] ?? 0)) / most}%`,
                          background: `var(${colourOf(place)})`,
                        }}
                      />
                    ))}
                  </span>
                )}
              </th>
              {PERCENTILES.map((each) => (
                <td key={each}>{latency ? seconds(latency[each]) : NONE}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}
