// Against a running API. The address, tokens and the folder of the build come from the environment.
import assert from "node:assert/strict";
import test from "node:test";

const { Rillet, RilletError } = await import(`${process.env.BUILT}/index.js`);
const url = process.env.URL;
const rillet = new Rillet(url, { token: process.env.TOKEN });
const user = `ts-${process.pid}`;

/** Counts what goes over the wire. */
function counting() {
  const seen = [];
  const fetch = async (request) => {
    const answer = await globalThis.fetch(request);
    seen.push(answer.status);
    return answer;
  };
  return { seen, fetch };
}

async function refusal(promise) {
  const error = await promise.then(
    () => assert.fail("it was not refused"),
    (error) => error,
  );
  assert.ok(error instanceof RilletError, String(error));
  return error;
}

test("nothing is known of a new user, and their slate says so", async () => {
  const slate = await rillet.slate(`${user}-nobody`, { n: 3 });
  assert.equal(slate.cold_start, true);
  assert.equal(slate.items.length, 3);
});

test("a slate follows an event on the stream, and is held by its ETag", async () => {
  const over = new AbortController();
  const slates = rillet.slates(user, { signal: over.signal });
  assert.equal((await slates.next()).value.cold_start, true);
  const { value: entry } = await rillet.all("/v1/leaderboards").next();
  assert.ok(entry.name);
  const [item] = (await rillet.slate(user)).items;
  const { accepted, events } = await rillet.post({ user_id: user, item_id: item.item_id });
  assert.equal(accepted, 1);
  const { value: slate } = await slates.next();
  assert.equal(slate.user_id, user);
  assert.equal(slate.slate_id, `events.browse-${events[0].partition}-${events[0].offset}`);
  over.abort();
  assert.equal((await slates.next()).done, true);

  const { seen, fetch } = counting();
  const holding = new Rillet(url, { token: process.env.TOKEN, fetch });
  const [first, second] = [await holding.slate(user), await holding.slate(user)];
  assert.deepEqual(second, first);
  assert.deepEqual(seen, [200, 304]);
});

test("a repeated event counts once", async () => {
  const event = { user_id: `${user}-twice`, item_id: "i1", event_id: `${user}-same`, time_ms: Date.now() };
  assert.equal((await rillet.post([event, event])).accepted, 2);
});

test("events that are refused are told one by one", async () => {
  const { accepted, rejected } = await rillet.post([{ user_id: user, item_id: "i2" }, { user_id: "", item_id: "i2" }]);
  assert.equal(accepted, 1);
  assert.equal(rejected[0].index, 1);
  const error = await refusal(rillet.post({ user_id: "", item_id: "i2" }));
  assert.equal(error.status, 422);
  assert.equal(error.rejected.length, 1);
});

test("lists are read over all their pages", async () => {
  const { seen, fetch } = counting();
  const items = [];
  for await (const item of new Rillet(url, { token: process.env.TOKEN, fetch }).all("/v1/items", { limit: 50 }))
    items.push(item.item_id);
  assert.ok(seen.length > 1);
  assert.equal(new Set(items).size, items.length);
  assert.deepEqual(items, items.toSorted());
});

test("candidates are ranked", async () => {
  const { items } = await rillet.rank({ user_id: user, item_ids: ["no-such-item", "i00001"] });
  assert.deepEqual(items.map((item) => item.place), [1, 2]);
  assert.equal(items.at(-1).item_id, "no-such-item");
});

test("errors carry what to do", async () => {
  const error = await refusal(rillet.related("no-such-item"));
  assert.equal(error.status, 404);
  assert.ok(error.fix);
  const unknown = await refusal(new Rillet(url, { token: "wrong" }).slate(user));
  assert.equal(unknown.status, 401);
  const reader = new Rillet(url, { token: process.env.READ_TOKEN });
  assert.equal((await refusal(reader.post({ user_id: user, item_id: "i1" }))).status, 403);
});

test("a stream that is refused ends with the reason", async () => {
  const error = await refusal(new Rillet(url, { token: "wrong" }).slates(user).next());
  assert.equal(error.status, 401);
  assert.equal((await refusal(rillet.stream(["nothing"]).next())).status, 400);
});

test("where nobody answers it is tried again, and then said", async () => {
  let attempts = 0;
  const fetch = (request) => {
    attempts++;
    return globalThis.fetch(request);
  };
  const error = await refusal(new Rillet("http://127.0.0.1:9", { fetch, attempts: 2 }).slate(user));
  assert.equal(error.status, 0);
  assert.equal(attempts, 2);
});

test("a request can be given up", async () => {
  await assert.rejects(rillet.slate(user, {}, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("who asks to come again is asked again", async () => {
  let attempts = 0;
  const fetch = (request) =>
    attempts++ ? globalThis.fetch(request) : new Response("", { status: 503, headers: { "Retry-After": "0" } });
  assert.ok((await new Rillet(url, { token: process.env.TOKEN, fetch }).slate(user)).items);
  assert.equal(attempts, 2);
});

test("channels are followed", async () => {
  const found = new Set();
  for await (const { channel, value } of rillet.stream(["slates", "events"])) {
    assert.ok(channel === "slates" ? value.items : value.event_id);
    found.add(channel);
    if (found.size === 2) break;
  }
});

test("an answer that was given up for another while it was asked for is given all the same", async () => {
  const late = {};
  const fetch = async (request) => {
    const of = request.url.split("/").at(-2);
    if (request.headers.has("If-None-Match")) {
      await new Promise((resolve) => {
        late.answer = resolve;
      });
      return new Response(null, { status: 304 });
    }
    return Response.json({ user_id: of }, { headers: { ETag: `"${of}"` } });
  };
  const holding = new Rillet(url, { fetch, remember: 1 });
  const path = (user) => ["/v1/users/{user}/slate", { params: { path: { user } } }];
  const get = async (user) => (await holding.http.GET(...path(user))).data;
  const first = await get("a");
  const again = get("a");
  await get("b"); // takes its place
  while (!late.answer) await new Promise(setImmediate);
  late.answer();
  assert.deepEqual(await again, first);
});

test("a refusal that tells nothing is an error all the same", async () => {
  const fetch = async () => Response.json(null, { status: 418 });
  assert.equal((await refusal(new Rillet(url, { fetch }).slate(user))).status, 418);
});

test("a date to come again at is waited for", async () => {
  const soon = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000);
  const came = [];
  const fetch = async () => {
    came.push(Date.now());
    const headers = { "Retry-After": soon.toUTCString() };
    return came.length > 1 ? Response.json({}) : new Response("", { status: 503, headers });
  };
  await new Rillet(url, { fetch }).slate(user);
  assert.ok(came[1] >= soon.getTime() - 5, `${came[1]} is before ${soon.getTime()}`);
});
