/** Figures and times as people read them. */

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const PLAIN = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const MISSING = "–";

export function count(value: number | null | undefined): string {
  if (value == null) return MISSING;
  return Math.abs(value) < 10_000 ? PLAIN.format(value) : SHORT.format(value);
}

export function fixed(value: number | null | undefined, digits = 3): string {
  return value == null ? MISSING : value.toFixed(digits);
}

export function signed(value: number, digits = 3): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

export function percent(ratio: number | null | undefined, digits = 1): string {
  return ratio == null ? MISSING : `${(100 * ratio).toFixed(digits)}%`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return MISSING;
  const at = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)));
  return `${PLAIN.format(value / 1024 ** at)} ${["B", "KiB", "MiB", "GiB", "TiB"][at]}`;
}

export function seconds(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return MISSING;
  if (value === 0) return "0 s";
  if (value < 0.001) return "<1 ms";
  if (value < 1) return `${Math.round(1000 * value)} ms`;
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 3600) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} days`;
}

export function ago(timeMs: number, nowMs: number): string {
  const age = (nowMs - timeMs) / 1000;
  return age < 1 ? "now" : `${seconds(age)} ago`;
}

export function clock(timeMs: number): string {
  return new Date(timeMs).toLocaleTimeString("en-GB");
}

export function moment(timeMs: number): string {
  return new Date(timeMs).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** `session_knn` is read as "session kNN", `hit_rate` as "hit rate". */
export function words(name: string): string {
  return name
    .replaceAll("_", " ")
    .replace(/\bknn\b/g, "kNN")
    .replace(/\b(auc|mrr|ndcg|cpu)\b/g, (each) => each.toUpperCase());
}
