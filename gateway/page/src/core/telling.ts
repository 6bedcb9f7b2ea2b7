// What changed, for those who do not see it: one polite live region that the shell renders.

import { signal } from "@preact/signals";

export const told = signal("");

export function tell(text: string): void {
  told.value = text;
}
