// What the gateway answers; its OpenAPI document says the same.

export type Status = "queued" | "succeeded" | "partial" | "failed" | "expired" | "cancelled";
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Part {
  kind: string;
  ok: boolean;
  detail: string;
}

export interface SystemStatus {
  version: string;
  at: string;
  broker: Part;
  database: Part;
  ledger: { behind_seconds: number | null };
}

export interface Lag {
  ready: number;
  in_flight: number | null;
  oldest_age_seconds: number | null;
}

export interface Deployment {
  name: string;
  endpoint: string;
  version: string;
  role: "live" | "canary" | "shadow";
  of: string | null;
  share: number | null;
  state: "serving" | "no-workers" | "unknown";
  members: number | null;
  lag: Lag;
}

export interface Deployments {
  at: string;
  deployments: Deployment[];
}

export interface Series {
  name: string;
  requests: number[];
  instances: number[];
  batches: number[];
  batch_size: (number | null)[];
  predict_seconds: (number | null)[];
  failed_batches: number[];
  latency_seconds: { p50: number | null; p90: number | null; p99: number | null; of: number };
}

export interface Activity {
  endpoint: string;
  begin: string;
  end: string;
  step_seconds: number;
  deployments: Series[];
}

export interface EndpointLine {
  name: string;
  description: string;
}

export interface Endpoints {
  endpoints: EndpointLine[];
}

export interface EndpointDetail extends EndpointLine {
  schema: { [name: string]: Json } | null;
  limits: { max_instances: number; max_body_bytes: number };
}

export interface RequestLine {
  id: string;
  endpoint: string;
  status: Status;
  created_at: string;
  completed_at: string | null;
  metadata: Record<string, string> | null;
  reason: string | null;
}

export interface RequestPage {
  predictions: RequestLine[];
  next: string | null;
}

export interface InstanceError {
  index: number | null;
  type: string;
  detail: string;
}

export interface Prediction {
  deployment: string;
  model_version: string | null;
  status: Status;
  outputs: Json[];
  errors: InstanceError[];
  created_at: string;
}

export interface Answer {
  id: string;
  endpoint: string | null;
  status: Status;
  created_at: string | null;
  predictions?: Prediction[];
}

export interface Batch {
  id: string;
  worker: string;
  requests: number;
  size: number;
  ingested_at: string;
  started_at: string;
  finished_at: string;
  status: string;
}

export interface WayPrediction extends Prediction {
  visible: boolean;
  redrive: number;
  batch: Batch | null;
}

export interface Attempt {
  at: string;
  status: number | null;
  error: string | null;
  seconds: number;
}

export interface Delivery {
  id: string;
  webhook: string | null;
  url: string;
  event: string;
  subject: string;
  state: "pending" | "delivered" | "failed";
  attempts: number;
  history: Attempt[];
  created_at: string;
  due_at: string | null;
  finished_at: string | null;
}

export interface DeliveryPage {
  deliveries: Delivery[];
  next: string | null;
}

export interface WayDeadLetter {
  id: string;
  group: string;
  deployment: string | null;
  reason: string;
  attempts: number;
  redeliveries: number;
  dead_at: string;
  state: string;
}

export interface Way {
  id: string;
  endpoint: string | null;
  status: Status;
  created_at: string | null;
  deadline: string | null;
  completed_at: string | null;
  metadata: Record<string, string> | null;
  job: null | { id: string; chunk: number; first_row: number; rows: number };
  predictions: WayPrediction[];
  owed: string[];
  dead_letters: WayDeadLetter[];
  deliveries: Delivery[];
}

export interface DeadLetter extends WayDeadLetter {
  endpoint: string;
  redrive: number;
  origin: { topic: string; partition: number; position: string | number };
  request_id: string | null;
  published_at: string;
  bytes: number;
}

export interface DeadLetterPage {
  dead_letters: DeadLetter[];
  next: string | null;
}

export interface DeadLetterDetail extends DeadLetter {
  headers: Record<string, string>;
  value: string;
  truncated: boolean;
}

export interface Job {
  id: string;
  endpoint: string | null;
  status: "queued" | "running" | "completed" | "failed" | "cancelled";
  counts: {
    total: number | null;
    succeeded: number;
    failed: number;
    expired: number;
    cancelled: number;
    queued: number;
  };
  rows_per_second: number | null;
  eta_seconds: number | null;
  created_at: string | null;
  started_at: string | null;
  completed_at: string | null;
  reason: string | null;
  source?: string;
  metadata?: Record<string, string>;
  result?: { url: string; format: string; written_at: string | null; error: string | null };
}

export interface JobPage {
  jobs: Job[];
  next: string | null;
}
