// Where one is: the fragment of the address, so that the gateway needs no route for it.

import { computed, signal } from "@preact/signals";

export type Route =
  | { view: "overview" }
  | { view: "endpoint"; name: string }
  | { view: "requests"; query: URLSearchParams }
  | { view: "request"; id: string }
  | { view: "jobs" }
  | { view: "job"; id: string }
  | { view: "failures"; query: URLSearchParams }
  | { view: "dead-letter"; id: string }
  | { view: "nowhere" };

const fragment = signal(location.hash);

addEventListener("hashchange", () => {
  fragment.value = location.hash;
});

export const route = computed<Route>(() => routeOf(fragment.value));

export function goTo(href: string): void {
  location.hash = href;
}

/** The fragment of a place; each part is escaped. */
export function hrefTo(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

function routeOf(text: string): Route {
  const [path = "", search = ""] = text.replace(/^#?\/?/, "").split("?", 2);
  const [first = "", second = "", ...more] = path.split("/").map(decoded);
  if (more.length > 0) return { view: "nowhere" };
  const query = new URLSearchParams(search);
  switch (first) {
    case "":
      return { view: "overview" };
    case "endpoints":
      return second ? { view: "endpoint", name: second } : { view: "overview" };
    case "requests":
      return second ? { view: "request", id: second } : { view: "requests", query };
    case "jobs":
      return second ? { view: "job", id: second } : { view: "jobs" };
    case "failures":
      return second ? { view: "nowhere" } : { view: "failures", query };
    case "dead-letters":
      return second ? { view: "dead-letter", id: second } : { view: "failures", query };
    default:
      return { view: "nowhere" };
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
