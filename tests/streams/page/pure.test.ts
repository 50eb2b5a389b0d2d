import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, count, seconds, words } from "../../../streams/page/src/format";
import { curves, figuresIn, happenings, mean, points } from "../../../streams/page/src/prequential";
import { appended } from "../../../streams/page/src/rates";
import { itemsOf } from "../../../streams/page/src/records";
import { together } from "../../../streams/page/src/reports";
import { buckets, ofBoth, quantile, rate, total } from "../../../streams/page/src/samples";
import { SseParser } from "../../../streams/page/src/sse";

test("messages cut anywhere are put together, and comments are nothing", () => {
  const text = ": ping\n\nevent: slates\r\nid: 7\ndata: {\"a\":\ndata: 1}\n\nretry: 500\n\ndata: x\n\n";
  for (let size = 1; size <= text.length; size++) {
    const parser = new SseParser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.feed(text.slice(at, at + size)));
    assert.deepEqual(found, [
      { event: "slates", id: "7", data: '{"a":\n1}' },
      { event: "message", id: "7", data: "x" },
    ]);
    assert.equal(parser.retryMs, 500);
  }
});

const bucket = (le: string, value: number) => ({ name: "t_bucket", labels: { le }, value });

test("a quantile lies within its bucket as far as its rank does", () => {
  const after = buckets([bucket("1", 10), bucket("2", 30), bucket("+Inf", 40)], "t_bucket");
  assert.equal(quantile(0.5, after), 1.5); // rank 20 of 40: half of the 20 between 1 and 2
  assert.equal(quantile(0.99, after), 2); // beyond the last bound only the bound is known
});

test("a quantile between two readings is of what came between them", () => {
  const before = buckets([bucket("1", 5), bucket("2", 5), bucket("+Inf", 5)], "t_bucket");
  const after = buckets([bucket("1", 5), bucket("2", 9), bucket("+Inf", 9)], "t_bucket");
  assert.equal(quantile(0.5, after, before), 1.5);
  assert.equal(quantile(0.5, after, after), null);
});

test("a counter that fell has no rate: its process began anew", () => {
  assert.equal(rate(10, 30, 4), 5);
  assert.equal(rate(30, 10, 4), null);
  assert.equal(total([], "t_bucket"), null);
});

const report = (model: string, end: number, worker: string, value: number, n: number) => ({
  key: model,
  time_ms: end,
  value: {
    model,
    model_version: "v",
    window_start_ms: end - 5,
    window_end_ms: end,
    n_events: n,
    worker,
    measurements: [
      { metric: "ndcg", k: 10, value, n },
      { metric: "clicks", value: 3 },
      { metric: "ndcg", k: 10, value: 1, n: 1, segment: "source=content" },
    ],
    happenings: [{ kind: "drift", estimator: model, detail: "d", time_ms: 4 }],
  },
});

test("windows of several workers merge into bins, weighed by their lists", () => {
  const reports = [report("a", 10, "w1", 0.2, 30), report("a", 12, "w2", 0.6, 10), report("b", 90, "w1", 0.5, 1)];
  const found = points(reports, "ndcg@10", (each, segment) => (segment === null ? each.model : null));
  const { timesMs, byName } = curves(found, 0, 100, 10);
  assert.deepEqual(timesMs, [15, 95]);
  assert.deepEqual(byName.get("a"), [0.3, null]); // (30 · 0.2 + 10 · 0.6) / 40
  assert.deepEqual(byName.get("b"), [null, 0.5]);
  assert.deepEqual(mean(found, "a"), { value: 0.3, n: 40 });
  assert.deepEqual(figuresIn(reports), ["ndcg@10"]); // clicks is a count, not a mean
  assert.equal(happenings(reports).length, 2); // that of model a is told twice
});

test("figures are short and carry their unit", () => {
  assert.equal(seconds(0.0128), "13 ms");
  assert.equal(seconds(7_200), "2 h");
  assert.equal(bytes(1536), "1.5 KiB");
  assert.equal(count(28_088), "28.1K");
  assert.equal(words("session_knn"), "session kNN");
});

const told = (time_ms: number, n: number) => ({ key: "k", time_ms, value: { n } });

test("a report that came while the list was asked for is there once, whatever the clock of its worker says", () => {
  const asked = [told(10, 1), told(20, 2)];
  const fresh = [told(20, 2), told(20, 3), told(15, 4)];
  assert.deepEqual(
    together(asked, fresh).map((each) => each.value.n),
    [1, 2, 3, 4],
  );
});

test("what a worker did before it did not answer is not counted when it does again", () => {
  const worker = (address: string, value: number) => ({ address, samples: [{ name: "n_total", labels: {}, value }] });
  const silent = { address: "b", samples: [] };
  const figures = (...workers: (typeof silent | ReturnType<typeof worker>)[]) => ({ time_ms: 0, api: [], workers });
  const [now, then] = ofBoth(figures(worker("a", 12), worker("b", 900)), figures(worker("a", 10), silent));
  assert.equal(rate(total(then, "n_total"), total(now, "n_total"), 1), 2);
});

test("an event that makes no sense has the items that do", () => {
  const event = { user_id: "u", time_ms: 0 };
  assert.deepEqual(itemsOf({ ...event, lines: 5 }), []);
  assert.deepEqual(itemsOf({ ...event, lines: [null, { item_id: "a" }, { item_id: 7 }] }), ["a"]);
  assert.deepEqual(itemsOf({ ...event, item_ids: "abc" }), []);
  assert.deepEqual(itemsOf({ ...event, item_id: "b", item_ids: ["c"] }), ["b"]);
});

test("curves fall to 0 where nothing came, and not where nobody listened", () => {
  const told = (time_ms: number) => ({ time_ms, interval_s: 1, seen: { events: 5 }, sent: {} });
  const times = (missed: boolean) => appended([told(1000)], told(9000), missed).map((each) => each.time_ms);
  assert.deepEqual(times(false), [1000, 2000, 8000, 9000]);
  assert.deepEqual(times(true), [1000, 9000]);
});
