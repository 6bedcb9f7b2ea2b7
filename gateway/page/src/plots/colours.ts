// A deployment has one colour in all plots: that of its place among those of its endpoint.

const COLOURS = 6;

export function colourOf(place: number): string {
  return `--series-${(place % COLOURS) + 1}`;
}

export function propertyOf(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}
