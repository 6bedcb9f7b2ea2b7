// Requests, the latest first.

import type { RequestLine } from "../core/bodies.js";
import { between, NONE, seconds } from "../core/formats.js";
import { Labels, State } from "../parts/marks.js";
import { Empty } from "../parts/panels.js";
import { type Column, Table } from "../parts/table.js";
import { Ago, EndpointLink, IdLink, Reason } from "../parts/texts.js";

interface Props {
  caption: string;
  requests: RequestLine[];
  /** All are of one endpoint, which need not be told. */
  ofOne?: boolean;
  labels?: boolean;
  /** Whether there are older ones that were not looked through yet. */
  more?: boolean;
}

export function RequestTable({ caption, requests, ofOne, labels, more }: Props) {
  if (requests.length === 0 && more) return <Empty title="None among the latest" />;
  if (requests.length === 0) {
    return (
      <Empty title="No requests">
        <p>Open an endpoint and try an instance; what is submitted shows here a moment later.</p>
      </Empty>
    );
  }
  const columns: Column<RequestLine>[] = [
    { title: "Request", heads: true, cell: ({ id }) => <IdLink to="requests" id={id} /> },
    { title: "Status", cell: ({ status }) => <State of={status} /> },
    ...(ofOne
      ? []
      : [
          {
            title: "Endpoint",
            wide: true,
            cell: ({ endpoint }: RequestLine) => (
              <span class="cut">
                <EndpointLink name={endpoint} />
              </span>
            ),
          },
        ]),
    ...(requests.some(({ reason }) => reason)
      ? [{ title: "Reason", wide: true, cell: ({ reason }: RequestLine) => <Reason of={reason} /> }]
      : []),
    ...(labels ? [{ title: "Labels", wide: true, cell: ({ metadata }: RequestLine) => <Labels of={metadata} /> }] : []),
    { title: "Accepted", figures: true, cell: ({ created_at }) => <Ago of={created_at} /> },
    {
      title: "Took",
      figures: true,
      cell: ({ created_at, completed_at }) =>
        completed_at ? seconds(Math.max(0, between(created_at, completed_at))) : NONE,
    },
  ];
  return <Table caption={caption} columns={columns} rows={requests} keyOf={(each) => each.id} />;
}
