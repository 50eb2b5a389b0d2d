// Generated from schemas/ by `make docs`; do not edit.

/** Why an item is not in the slate: `reason` is a key of `ABSENT`. `event` is what the user did with it; `item_id` the item that it is too much like, or that took its place. */
export interface Absence {
  reason: string;
  detail: string;
  event?: OwnEvent | null;
  item_id?: string | null;
}

/** What is done about a check that fails, to the events of its source from `since_ms` to before `until_ms`. */
export interface Action {
  kind: string;
  field: string;
  state: string;
  since_ms: number;
  until_ms: number | null;
}

/** A check that changed its status. `alert_id` is `source/check/field/window start`: repeats have the same. */
export interface Alert {
  alert_id: string;
  source: string;
  window_start_ms: number;
  window_end_ms: number;
  before: Status;
  result: CheckResult;
  action?: Action | null;
  schema_version?: number;
}

/** A snapshot that was written and can be served. */
export interface Announced {
  kind: "announced";
  model: string;
  version: string;
  created_ms: number;
  url: string;
  checksum: string;
  size_bytes: number;
  metrics?: Record<string, number>;
  parent?: string | null;
  schema_version?: number;
}

/** One topic, or one table by its changelog. A null value means that it has been gone for long. */
export interface Asset {
  asset: string;
  kind: "table" | "topic";
  known: boolean;
  owner: string | null;
  description: string | null;
  contract: string | null;
  key: string | null;
  content: "binary" | "empty" | "gzip" | "json" | "registry" | "text" | "unknown";
  columns: Column[];
  fingerprint: string;
  time_column: string | null;
  n_partitions: number;
  replication: number;
  cleanup: string | null;
  retention_ms: number | null;
  n_records: number;
  size_bytes: number | null;
  record_bytes: number | null;
  records_per_s: number;
  newest_ms: number | null;
  freshness_s: number | null;
  upstream: string[];
  downstream: string[];
  reaches: string[];
  readers: Reader[];
  scores: Scores | null;
  scores_of: "reports" | "sample" | null;
  value: number | null;
  cost: Cost;
  proposal: Proposal | null;
  n_sampled: number;
  n_unreadable: number;
  first_seen_ms: number;
  last_seen_ms: number;
  present?: boolean;
  schema_version?: number;
}

/** One decision that changed what serves. */
export interface AuditEntry {
  time_ms: number;
  actor: string;
  action: string;
  subject: string;
  detail: string;
  finding?: AuditedFinding | null;
  schema_version?: number;
}

/** What the value of one player says, and what was done by it: workers that take over go on from here. */
export interface AuditedFinding {
  state: "proposed" | "tried" | "withdrawn";
  of: string;
  player: string;
  value: number;
  value_error: number;
  n: number;
  window_start_ms: number;
  window_end_ms: number;
}

/** A look at one item's page. Attributes, when given, fill in for a missing catalogue entry. */
export interface Browse {
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  category?: string | null;
  brand?: string | null;
  price?: number | null;
  store_id?: string | null;
  dwell_ms?: number | null;
  slate_id?: string | null;
  position?: number | null;
}

/** The item was put into the cart. */
export interface Cart {
  kind: "cart";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
  quantity?: number;
  price?: number | null;
}

/** All checks of one source in one window of event time, over all partitions. */
export interface CheckReport {
  source: string;
  window_start_ms: number;
  window_end_ms: number;
  n_events: number;
  status: Status;
  checks: CheckResult[];
  schema_version?: number;
}

/** One check in one window. */
export interface CheckResult {
  check: string;
  dimension: string;
  field: string;
  status: Status;
  value: number;
  low: number | null;
  high: number | null;
  n: number;
  evidence: string;
}

/** A click on a recommended or listed item. */
export interface Click {
  kind: "click";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
}

/** One field of the values, by its path: `lines[].price` is the price of each line. */
export interface Column {
  path: string;
  type: "array" | "boolean" | "integer" | "mixed" | "null" | "number" | "object" | "string";
  format: string | null;
  null_share: number;
  n_distinct: number;
  unique: boolean;
  personal: string | null;
  personal_share: number | null;
}

/** `contribution = value * weight`; `above_mean` is it less its mean over all candidates of the user. */
export interface Contribution {
  feature: string;
  value: number;
  weight: number;
  contribution: number;
  above_mean: number;
}

/** What the asset takes. */
export interface Cost {
  bytes_per_day: number | null;
  lag_share: number | null;
}

/** A refused record with its headers and bytes. `value_text` holds at most the first 4,000 bytes. */
export interface DeadLetterFull {
  summary: DeadLetterSummary;
  headers: [string, string][];
  value_text: string;
  value_base64: string;
}

/** A refused record, without its bytes. */
export interface DeadLetterSummary {
  partition: number;
  offset: number;
  refused_ms: number;
  reason: string;
  detail: string;
  attempt: number;
  key: string | null;
  size_bytes: number;
  topic?: string | null;
  source_partition?: number | null;
  source_offset?: number | null;
}

/** Which dead letters. */
export interface DeadLettersQuery {
  reason?: string | null;
  topic?: string | null;
  since_ms?: number;
  limit?: number;
  cursor?: string | null;
}

/** An event that is on the broker. */
export interface Delivered {
  index: number;
  event_id: string;
  topic: string;
  partition: number;
  offset: number;
}

/** The score was multiplied by `factor`, as the item is like one that was dismissed; `nearness` is 0 to 1. */
export interface Demotion {
  factor: number;
  item_id: string | null;
  nearness: number;
}

/** The shopper does not want to see the item. */
export interface Dismiss {
  kind: "dismiss";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
}

/** How long the shopper stayed with the item. */
export interface Dwell {
  kind: "dwell";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
  dwell_ms: number;
}

/** What about. */
export interface ExplainQuery {
  item?: string | null;
}

/** One item. Scores and places are null where it was left out before it was scored. `raw_score` is `w·x`, and exactly the sum of the contributions; features that are 0, and add nothing to the mean either, are left out. `groups` are their sums by source, `item`, `pair` and `moment`. `full_score` is what the scorer makes of it: `w·x` itself under fixed weights, `log(1 + exp(w·x))` when learned. `score` is that after demotion. `rank` is the place by score, `greedy_place` the place after diversity, `place` the one after exploration. */
export interface ExplainedItem {
  item_id: string;
  place?: number | null;
  greedy_place?: number | null;
  rank?: number | null;
  score?: number | null;
  full_score?: number | null;
  raw_score?: number | null;
  propensity?: number | null;
  explored?: boolean;
  groups?: Record<string, number>;
  contributions?: Contribution[];
  sources?: Says[];
  demotion?: Demotion | null;
  absent?: Absence[];
}

/** The slate that follows the user's latest event, ranked with what is known now. `slate_id` and `time_ms` are of that event. `asked` is the item that was asked for, `others` are the candidates outside the slate where they were asked for. */
export interface Explanation {
  user_id: string;
  slate_id: string;
  time_ms: number;
  now_ms: number;
  model_version: string;
  n_candidates: number;
  n_places: number;
  mean_raw_score: number;
  cold_start: boolean;
  items: ExplainedItem[];
  asked?: ExplainedItem | null;
  others?: ExplainedItem[];
  schema_version?: number;
}

/** One field, over the records that have it. */
export interface FieldQuality {
  completeness?: number | null;
  validity?: number | null;
}

/** As they are at `time_ms`. Counters count from the start of each process; of the API those at 0 are left out. */
export interface Figures {
  time_ms: number;
  workers: WorkerFigures[];
  api: Sample[];
}

/** `missing` is what keeps it from being ready. */
export interface Health {
  status: string;
  missing?: string[];
  uptime_s?: number | null;
}

/** Items shown to the shopper, best position first; `slate_id` when they came from a slate of ours. */
export interface Impression {
  kind: "impression";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_ids: string[];
  slate_id?: string | null;
}

/** One item of the catalogue. A tombstone (null value) removes it. */
export interface Item {
  item_id: string;
  time_ms: number;
  title?: string | null;
  category?: string | null;
  brand?: string | null;
  price?: number | null;
  store_id?: string | null;
  origin?: string | null;
  available?: boolean;
  created_ms?: number | null;
  vector?: number[] | null;
  schema_version?: number;
}

/** Which items. */
export interface ItemsQuery {
  prefix?: string;
  item?: string[];
  limit?: number;
  cursor?: string | null;
}

/** Name of a leaderboard: a category, or `*` for all. */
export interface Leaderboard {
  name: string;
  updated_ms: number;
}

/** One line of an order. `price` is for one piece, after discount. */
export interface Line {
  item_id: string;
  quantity?: number;
  price?: number | null;
  category?: string | null;
  brand?: string | null;
  store_id?: string | null;
  promotion_id?: string | null;
}

/** A drift, promotion, reset or rollback. */
export interface ModelHappening {
  kind: string;
  estimator: string;
  detail: string;
  time_ms: number;
}

/** One prequential figure; `k` is the list length of a ranking metric. Workers report on their own partitions. Their windows combine: figures without `n` are counts and add up, the others are means and weigh by `n`. `calibration_error` and `calibration_ratio` follow anew from `predicted` and `observed`; `coverage` and `gini` hold for one worker only. */
export interface ModelMeasurement {
  metric: string;
  value: number;
  n?: number | null;
  k?: number | null;
  segment?: string | null;
}

/** How one version of one model did in one window. */
export interface ModelReport {
  model: string;
  model_version: string;
  window_start_ms: number;
  window_end_ms: number;
  n_events: number;
  measurements: ModelMeasurement[];
  worker?: string | null;
  happenings?: ModelHappening[];
  schema_version?: number;
}

/** Something and when it last was. */
export interface Moment {
  what: string;
  time_ms: number;
}

/** No parameters. */
export interface NoQuery {
}

/** What the user did. `what` is the item, or what was searched for; `age_s` is told by `now_ms`. */
export interface OwnEvent {
  kind: string;
  what: string;
  time_ms: number;
  age_s: number;
  dwell_ms?: number | null;
}

/** Some of them, and where the others begin; `next` is null on the last page. */
export interface Page {
  items: unknown[];
  next: string | null;
}

/** Which page. */
export interface PageQuery {
  limit?: number;
  cursor?: string | null;
}

/** What became of the events given. */
export interface PostAnswer {
  accepted: number;
  events: Delivered[];
  rejected?: Refused[];
}

/** Where to. */
export interface PostQuery {
  topic?: "browse" | "feedback" | "purchase" | "search" | null;
}

/** An error as RFC 9457 has it; `fix` is what to do about it. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  fix: string;
  rejected?: Refused[];
}

/** Which snapshot serves, since when, and who decided that. */
export interface Promoted {
  kind: "promoted";
  model: string;
  version: string;
  checksum: string;
  time_ms: number;
  actor: string;
  detail: string;
  previous?: string[];
  pinned?: boolean;
  schema_version?: number;
}

/** A promotion over named items, or over all of a category or a brand, while it runs. */
export interface Promotion {
  promotion_id: string;
  time_ms: number;
  starts_ms: number;
  ends_ms: number;
  discount?: number;
  item_ids?: string[];
  category?: string | null;
  brand?: string | null;
  schema_version?: number;
}

/** Which promotions. */
export interface PromotionsQuery {
  active?: boolean | null;
  item?: string | null;
  limit?: number;
  cursor?: string | null;
}

/** How records of a topic that Rillet does not know become its events, tried on the sample. */
export interface Proposal {
  vocabulary: string;
  mapping: string | null;
  events: Record<string, number>;
  n_refused: number;
}

/** An order with its lines. */
export interface Purchase {
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  lines: Line[];
  order_id?: string | null;
  currency?: string | null;
}

/** One source and window. `report_id` is `topic-partition-window start`, partitions joined by `+`. A late event, whose own window had closed, counts in the window that was newest when it came. */
export interface QualityReport {
  report_id: string;
  source: string;
  window_start_ms: number;
  window_end_ms: number;
  partitions: number[];
  n_events: number;
  n_accepted: number;
  n_rejected: number;
  n_duplicates: number;
  n_late: number;
  rejected: Record<string, number>;
  kinds: Record<string, number>;
  fields: Record<string, FieldQuality>;
  unknown_fields: Record<string, number>;
  events_per_s: number;
  lag_p50_s: number | null;
  lag_p99_s: number | null;
  scores: Scores;
  recipes?: Record<string, number>;
  cleaned?: Record<string, number>;
  sketches?: string;
  schema_version?: number;
}

/** All candidates, best first. */
export interface RankAnswer {
  user_id: string;
  model_version: string;
  cold_start: boolean;
  items: RankedCandidate[];
}

/** Candidates to order for a user, and what was searched for. */
export interface RankRequest {
  user_id: string;
  item_ids: string[];
  query?: string | null;
}

/** A candidate at its place. One that no worker knows has no score, and comes last in the order given. */
export interface RankedCandidate {
  item_id: string;
  place: number;
  score: number | null;
  known: boolean;
  available: boolean;
  reasons: ReasonCode[];
}

/** An item and its score. */
export type RankedItem = [string, number];

/** A rating, scaled to 0 (worst) to 1 (best). */
export interface Rating {
  kind: "rating";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
  rating: number;
}

/** A consumer group that reads the asset. */
export interface Reader {
  group: string;
  state: string;
  lag: number;
}

/** Why an item is in a slate: retrieval source, share of the score, the item or term behind it. */
export type ReasonCode = [string, number, (string | null)?];

/** An event that was not taken; `index` counts from 0. */
export interface Refused {
  index: number;
  reason: string;
  detail: string;
  fix: string;
}

/** Items that go with one item. */
export interface Related {
  item_id: string;
  items: RankedItem[];
  updated_ms: number;
  schema_version?: number;
}

/** What became of them: sent by topic, left as refused too often, left as not from a topic of the shop. */
export interface ReplayAnswer {
  dry_run: boolean;
  sent: Record<string, number>;
  exhausted: number;
  homeless: number;
}

/** Which dead letters to send back to their topics. */
export interface ReplayRequest {
  reason?: string | null;
  topic?: string | null;
  since_ms?: number | null;
  max_attempts?: number;
  dry_run?: boolean;
}

/** A record of a topic of reports; `value` is as the topic has it. */
export interface Report {
  key: string;
  time_ms: number;
  value: unknown;
}

/** Which reports. */
export interface ReportsQuery {
  key?: string | null;
  since_ms?: number;
  until_ms?: number | null;
  limit?: number;
  cursor?: string | null;
}

/** A promotion, and whether it runs now. */
export interface RunningPromotion {
  promotion_id: string;
  time_ms: number;
  starts_ms: number;
  ends_ms: number;
  discount?: number;
  item_ids?: string[];
  category?: string | null;
  brand?: string | null;
  schema_version?: number;
  active?: boolean;
}

/** One sample as Prometheus has it. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What one source says of an item: its place there, its score there, and that as a share of the best score. `because` is the user's own item that brought it, `event` what the user last did with that. The contributions are those of all features of the source; null where the item was left out before it was scored. */
export interface Says {
  source: string;
  place: number;
  score: number;
  share: number;
  contribution?: number | null;
  above_mean?: number | null;
  because?: string | null;
  event?: OwnEvent | null;
  tastes?: Taste[];
}

/** One figure a dimension, for the whole source. */
export interface Scores {
  completeness: number | null;
  validity: number | null;
  uniqueness: number | null;
  timeliness: number | null;
  consistency: number | null;
  overall: number | null;
}

/** A query typed by a shopper, with the ids it returned when the shop reports them. */
export interface Search {
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  query: string;
  category?: string | null;
  results?: string[];
}

/** What estimates of click-through and conversion rest on: the slates of the window that shoppers have seen. */
export interface SeenSlates {
  n_seen: number;
  n_clicks: number;
  n_purchases: number;
  valued_share: number;
  effective_clicks: number;
  limited_share: number;
}

/** Recommendations for one user, best first. `slate_id` is `topic-partition-offset` of the event that caused it. */
export interface Slate {
  slate_id: string;
  user_id: string;
  items: SlateItem[];
  event_id: string;
  event_time_ms: number;
  processed_ms: number;
  model_version: string;
  cold_start?: boolean;
  schema_version?: number;
}

/** One recommended item, its score (comparable within the slate only) and its reasons, strongest first. `propensity` is the probability with which the item was put at this place given those before it; it is left out where nothing was left to chance. */
export interface SlateItem {
  item_id: string;
  score: number;
  reasons: ReasonCode[];
  propensity?: number | null;
}

/** How much of a slate, and for where. */
export interface SlateQuery {
  n?: number | null;
  context?: "cart" | "home" | "mail" | "product" | "search";
  item?: string[];
  exclude?: string[];
  category?: string[];
  q?: string | null;
}

/** A slate that a worker is to make now. */
export interface SlateRequest {
  user_id: string;
  query?: string | null;
  after_visit?: boolean;
}

/** What one source of data took in the window. */
export interface SourceCost {
  player: string;
  n_events: number;
  n_slates: number;
  n_bytes: number;
  cpu_s: number;
  memory_bytes: number;
  latency_s?: number | null;
}

/** From good to bad. */
export type Status = "fail" | "pass" | "warn";

/** One of a user's recent interactions, as the worker remembers it. */
export interface StoredInteraction {
  item_id: string;
  kind: string;
  time_ms: number;
  category?: string | null;
  price?: number | null;
  dwell_ms?: number | null;
}

/** What to follow, and how fast. */
export interface StreamQuery {
  topics: string;
  max_per_s?: number;
  since_ms?: number | null;
}

/** The API, its read model, and the workers that it asks. */
export interface System {
  version: string;
  uptime_s: number;
  caught_up: boolean;
  n_streams: number;
  size_bytes: number;
  topics: TopicStanding[];
  workers: WorkerStanding[];
}

/** What of the user's likings a source went by. `kind` is `category`, `brand`, `word`, `query` or `platform`; `weight` the affinity, of categories and brands as a share of 1. */
export interface Taste {
  kind: string;
  name: string;
  weight?: number | null;
}

/** How far the read model is on a topic. */
export interface TopicStanding {
  topic: string;
  newest_ms: number | null;
  offsets: Record<string, number>;
}

/** What is popular now, overall (`category` is null) or in one category. `half_life_s` is that of the decayed counts behind the scores. */
export interface Trending {
  category: string | null;
  half_life_s: number;
  items: RankedItem[];
  updated_ms: number;
  schema_version?: number;
}

/** Recent interactions, newest first. */
export interface UserEvents {
  user_id: string;
  items: StoredInteraction[];
}

/** How many. */
export interface UserEventsQuery {
  limit?: number;
}

/** What the worker remembers of a user, decayed to `now_ms`. */
export interface UserState {
  user_id: string;
  now_ms: number;
  latest_ms: number;
  n_events: number;
  n_impressions: number;
  platform: string | null;
  traits: UserTraits;
  half_lives_s: number[];
  categories: Weighted[];
  brands: Weighted[];
  bands: Weighted[];
  terms: Weighted[];
  stores: Weighted[];
  bought: Moment[];
  dismissed: Moment[];
  searches: Moment[];
  recents: StoredInteraction[];
}

/** Null where nothing is known yet. */
export interface UserTraits {
  spending: number | null;
  promotion: number | null;
  novelty: number | null;
}

/** What one player adds to one figure, by Shapley's shares, and what is lost where it alone is left out. */
export interface Value {
  player: string;
  metric: string;
  value: number;
  value_error: number;
  left_out: number;
  left_out_error: number;
}

/** Of the lists of one window. By metric, values add up to `all_in` less `none_in`. */
export interface ValueReport {
  of: string;
  window_start_ms: number;
  window_end_ms: number;
  n: number;
  k: number;
  all_in: Record<string, number>;
  none_in: Record<string, number>;
  values: Value[];
  costs?: SourceCost[];
  seen?: SeenSlates | null;
  worker?: string | null;
  schema_version?: number;
}

/** A key of an affinity with its weight now, at each half-life. */
export interface Weighted {
  key: string;
  weights: number[];
}

/** The slate as it is and as it would be. Nothing is remembered. */
export interface WhatIfAnswer {
  now: Explanation;
  imagined: Explanation;
}

/** The same, as a worker is asked. */
export interface WhatIfOf {
  events?: Record<string, unknown>[];
  weights?: Record<string, number>;
  settings?: Record<string, unknown>;
  item?: string | null;
  user_id: string;
}

/** What to imagine: events that come now, weights times a factor, other settings of ranking. */
export interface WhatIfRequest {
  events?: Record<string, unknown>[];
  weights?: Record<string, number>;
  settings?: Record<string, unknown>;
  item?: string | null;
}

/** The item was kept for later, or marked a favourite. */
export interface Wishlist {
  kind: "wishlist";
  event_id: string;
  user_id: string;
  time_ms: number;
  session_id?: string | null;
  platform?: string | null;
  schema_version?: number;
  item_id: string;
  slate_id?: string | null;
  position?: number | null;
}

/** Of one worker; none when it does not answer. */
export interface WorkerFigures {
  address: string;
  samples: Sample[];
}

/** A worker as it answers now. */
export interface WorkerStanding {
  address: string;
  ready: boolean;
  missing: string[];
}
