import type { Middleware } from "openapi-fetch";

interface Answer {
  etag: string;
  body: string;
  headers: Headers;
}

/** Asks with the ETag of what it holds, and gives that again where it is still the newest. Holds the `most` last asked for. */
export function remembered(most: number): Middleware {
  const held = new Map<string, Answer>();
  /** What each request under way asked with: it may be held no more, or anew, when its answer comes. */
  const asked = new WeakMap<Request, Answer>();
  return {
    onRequest({ request }) {
      const known = request.method === "GET" && held.get(request.url);
      if (!known || request.headers.has("If-None-Match")) return;
      request.headers.set("If-None-Match", known.etag);
      asked.set(request, known);
    },
    async onResponse({ request, response }) {
      const known = asked.get(request);
      if (response.status === 304 && known) {
        keep(held, most, request.url, known);
        return new Response(known.body, { status: 200, headers: known.headers });
      }
      const etag = response.headers.get("ETag");
      if (response.status === 200 && etag && request.method === "GET") {
        const headers = new Headers(response.headers);
        headers.delete("Content-Encoding");
        headers.delete("Content-Length");
        keep(held, most, request.url, { etag, body: await response.clone().text(), headers });
      }
      return undefined;
    },
  };
}

function keep(held: Map<string, Answer>, most: number, url: string, answer: Answer): void {
  held.delete(url);
  if (most > 0) held.set(url, answer);
  if (held.size > most) held.delete(held.keys().next().value as string);
}
