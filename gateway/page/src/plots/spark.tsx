// A word-sized plot, for a glance; what it shows is told beside it.

const WIDTH = 96;
const HEIGHT = 22;

export function Spark({ values, colour }: { values: number[]; colour: string }) {
  const most = Math.max(...values, 1e-9);
  const across = WIDTH / Math.max(values.length - 1, 1);
  const points = values.map((value, index) => {
    const y = HEIGHT - 1.5 - (value / most) * (HEIGHT - 4);
    return `${(index * across).toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <polyline points={points.join(" ")} stroke={`var(${colour})`} />
    </svg>
  );
}
