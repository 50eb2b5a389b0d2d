import type { Problem } from "../api";

/** An error as the API tells it: what, and what to do. */
export function Trouble({ problem }: { problem: Problem }) {
  return (
    <div class="trouble" role="alert">
      <strong>{problem.title}</strong>
      <p>{problem.detail}</p>
      <p>{problem.fix}</p>
    </div>
  );
}
