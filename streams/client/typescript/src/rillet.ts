import createClient, { type Client } from "openapi-fetch";
import type {
  Alert,
  Announced,
  Asset,
  AuditEntry,
  CheckReport,
  DeadLetterSummary,
  ModelReport,
  PostAnswer,
  Promoted,
  paths,
  QualityReport,
  RankAnswer,
  RankRequest,
  Related,
  Slate,
  Trending,
  ValueReport,
} from "./openapi.js";
import { type Fetch, patient } from "./patience.js";
import { RilletError } from "./problem.js";
import { remembered } from "./remembered.js";
import { streamed } from "./stream.js";

export interface Options {
  /** Bearer token; not needed where the API has none. */
  token?: string;
  /** How long an attempt may take to begin its answer. */
  timeoutMs?: number;
  /** How often a request is tried in all. */
  attempts?: number;
  /** Answers held to be asked for by their ETag; 0 holds none. */
  remember?: number;
  fetch?: Fetch;
}

export interface How {
  /** Gives the request up. */
  signal?: AbortSignal;
}

/** What each channel of `stream` carries. */
export interface Channels {
  slates: Slate;
  trending: Trending;
  related: Related;
  quality: QualityReport;
  checks: CheckReport;
  model: ModelReport;
  value: ValueReport;
  alerts: Alert;
  audit: AuditEntry;
  versions: Announced | Promoted;
  assets: Asset;
  "dead-letters": DeadLetterSummary;
  events: PostedEvent;
}

/** A record of a channel; `value` is null where its key was removed. */
export type Message = {
  [C in keyof Channels]: {
    channel: C;
    topic: string;
    partition: number;
    offset: number;
    key: string | null;
    time_ms: number;
    value: Channels[C] | null;
  };
}[keyof Channels];

type Body = NonNullable<paths["/v1/events"]["post"]["requestBody"]>["content"]["application/json"];
/** An event as the API takes it. */
export type PostedEvent = Exclude<Body, readonly unknown[] | { events: unknown }>;
/** An event; `event_id` and `time_ms` are made where they are left out. */
export type Draft = PostedEvent extends infer E
  ? E extends PostedEvent
    ? Omit<E, "event_id" | "time_ms"> & Partial<Pick<E, "event_id" | "time_ms">>
    : never
  : never;

type Got<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { "application/json": infer T } } } };
}
  ? T
  : never;
type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } }
  ? NonNullable<Q>
  : never;
/** Paths whose answers come in pages. */
export type Paged = {
  [P in keyof paths]: Got<P> extends { items: unknown[]; next: string | null } ? P : never;
}[keyof paths];

type Entry<P extends Paged> = Got<P> extends { items: (infer I)[] } ? I : never;

/** A client of `rillet api`. `http` reaches every route, typed; the methods are for what most ask. */
export class Rillet {
  readonly http: Client<paths>;

  constructor(
    url = "http://127.0.0.1:8080",
    { token, timeoutMs = 10_000, attempts = 3, remember = 1_000, fetch = globalThis.fetch }: Options = {},
  ) {
    this.http = createClient<paths>({
      baseUrl: url.replace(/\/+$/, ""),
      fetch: patient((request) => fetch(request), timeoutMs, attempts),
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    this.http.use(refusals, remembered(remember));
  }

  /** The newest slate of a user; the leaderboard, with `cold_start`, where nothing is known of them. */
  slate(user: string, query: Query<"/v1/users/{user}/slate"> = {}, how: How = {}): Promise<Slate> {
    return answer(this.http.GET("/v1/users/{user}/slate", { params: { path: { user }, query }, ...how }));
  }

  /** What goes with an item. */
  related(item: string, how: How = {}): Promise<Related> {
    return answer(this.http.GET("/v1/items/{item}/related", { params: { path: { item } }, ...how }));
  }

  /** Candidates in the order that suits a user and a query. */
  rank(body: RankRequest, how: How = {}): Promise<RankAnswer> {
    return answer(this.http.POST("/v1/rank", { body, ...how }));
  }

  /** Sends events; when it resolves the broker has them. What was refused is in `rejected`, all refused is an error. */
  post(events: Draft | readonly Draft[], how: How = {}): Promise<PostAnswer> {
    const body = [events].flat().map(whole);
    return answer(this.http.POST("/v1/events", { body, ...how }));
  }

  /** All entries of a list, page by page. */
  async *all<P extends Paged>(
    path: P,
    query: Partial<Query<P>> = {},
    how: How = {},
  ): AsyncGenerator<Entry<P>> {
    const get = this.http.GET as (path: P, how: object) => Promise<{ data?: unknown }>;
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page: { items: Entry<P>[]; next: string | null } = await answer(
        get(path, { params: { query: { ...query, cursor } }, ...how }),
      );
      yield* page.items;
      cursor = page.next;
    }
  }

  /** A user's slate now, and again whenever it changes, until `signal` is aborted. */
  async *slates(user: string, how: How = {}): AsyncGenerator<Slate> {
    const open = (lastId: string, signal: AbortSignal) =>
      opened(
        this.http.GET("/v1/users/{user}/slate/stream", {
          params: { path: { user }, header: lastId ? { "Last-Event-ID": lastId } : {} },
          parseAs: "stream",
          signal,
        }),
      );
    for await (const { event, data } of streamed(open, how.signal)) {
      if (event === "slate") yield JSON.parse(data);
    }
  }

  /** What comes on some channels, at most `max_per_s` a second, until `signal` is aborted. */
  async *stream(
    channels: readonly (keyof Channels)[],
    query: Omit<Query<"/v1/stream">, "topics"> = {},
    how: How = {},
  ): AsyncGenerator<Message> {
    const open = (lastId: string, signal: AbortSignal) =>
      opened(
        this.http.GET("/v1/stream", {
          params: {
            query: { topics: channels.join(), ...query },
            header: lastId ? { "Last-Event-ID": lastId } : {},
          },
          parseAs: "stream",
          signal,
        }),
      );
    for await (const { event, data } of streamed(open, how.signal)) {
      if (channels.includes(event as keyof Channels)) yield { channel: event, ...JSON.parse(data) };
    }
  }
}

const refusals = {
  async onResponse({ response }: { response: Response }): Promise<undefined> {
    if (!response.ok && response.status !== 304) throw await RilletError.of(response);
  },
};

async function answer<T>(asked: Promise<{ data?: unknown }>): Promise<T> {
  return (await asked).data as T;
}

async function opened(asked: Promise<{ response: Response }>): Promise<Response> {
  return (await asked).response;
}

function whole(draft: Draft): PostedEvent {
  return { event_id: crypto.randomUUID(), time_ms: Date.now(), ...draft } as PostedEvent;
}
