// Dead letters, the latest first.

import type { DeadLetter } from "../core/bodies.js";
import { count } from "../core/formats.js";
import { State } from "../parts/marks.js";
import { Empty } from "../parts/panels.js";
import { type Column, Table } from "../parts/table.js";
import { Ago, IdLink, Reason } from "../parts/texts.js";

interface Props {
  letters: DeadLetter[];
  caption: string;
  /** In half the width. */
  few?: boolean;
}

export function DeadLetterTable({ letters, caption, few }: Props) {
  if (letters.length === 0) {
    return (
      <Empty title="No dead letters">
        <p>A message that a deployment gave up on would be kept here, with the reason, to be sent again.</p>
      </Empty>
    );
  }
  return (
    <Table
      caption={caption}
      columns={few ? COLUMNS.filter(({ title }) => !LEFT_OUT.includes(title)) : COLUMNS}
      rows={letters}
      keyOf={(each) => each.id}
    />
  );
}

const LEFT_OUT = ["Attempts", "State"];
const COLUMNS: Column<DeadLetter>[] = [
  { title: "Dead letter", heads: true, cell: ({ id }) => <IdLink to="dead-letters" id={id} /> },
  {
    title: "Reason",
    wide: true,
    cell: ({ reason }) => <Reason of={reason} />,
  },
  {
    title: "Of",
    cell: ({ deployment, group }) => (
      <span class="cut narrow" title={deployment ?? group}>
        {deployment ?? group}
      </span>
    ),
  },
  { title: "Attempts", figures: true, cell: ({ attempts }) => count(attempts) },
  { title: "State", cell: ({ state }) => <State of={state} /> },
  { title: "Died", figures: true, cell: ({ dead_at }) => <Ago of={dead_at} /> },
];
