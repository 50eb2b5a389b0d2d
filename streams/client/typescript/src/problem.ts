import type { ProblemDetails, Refused } from "./openapi.js";

/** The API refused a request, or did not answer (`status` 0). `fix` says what to do about it. */
export class RilletError extends Error {
  override readonly name = "RilletError";

  constructor(
    readonly status: number,
    readonly type: string,
    readonly title: string,
    readonly detail: string,
    readonly fix: string,
    /** Events that were not taken, where some were posted. */
    readonly rejected: readonly Refused[] = [],
    options?: ErrorOptions,
  ) {
    super(`${title}: ${detail} ${fix}`, options);
  }

  /** Problem details (RFC 9457), or what can be said without. */
  static async of(response: Response): Promise<RilletError> {
    const told = ((await response.json().catch(() => null)) ?? {}) as Partial<ProblemDetails>;
    return new RilletError(
      response.status,
      told.type ?? "about:blank",
      told.title ?? `The answer is ${response.status}`,
      told.detail ?? response.statusText,
      told.fix ?? "See what stands between here and the API.",
      told.rejected,
    );
  }

  /** Nobody answers. */
  static unreachable(url: string, cause: unknown): RilletError {
    const detail = `${new URL(url).origin} does not answer.`;
    const fix = "See that `rillet api` runs there.";
    return new RilletError(0, "about:blank", "Not connected", detail, fix, [], { cause });
  }
}
