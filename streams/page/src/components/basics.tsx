/** Small parts that every view is made of. */

import type { ComponentChildren } from "preact";
import type { Asked } from "../ask";
import { ago, moment } from "../format";
import { nowMs } from "../live";
import { href } from "../route";
import { titleOf } from "../titles";
import { Trouble } from "./trouble";

interface SectionProps {
  title: string;
  about?: string;
  beside?: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
}

export function Section({ title, about, beside, wide, children }: SectionProps) {
  return (
    <section class={wide ? "card wide" : "card"} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {beside}
      </header>
      {about && <p class="about">{about}</p>}
      {children}
    </section>
  );
}

/** A figure with what it is called; `state` colours it, and is said in words by `note`. */
export function Tile(props: { name: string; value: string; note?: string; state?: "good" | "warn" | "bad" }) {
  return (
    <div class={`tile ${props.state ?? ""}`}>
      <dt>{props.name}</dt>
      <dd>
        <strong>{props.value}</strong>
        {props.note && <small>{props.note}</small>}
      </dd>
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** What was asked for, or why it is not there. */
export function Answer<T>(props: {
  asked: Asked<T>;
  empty?: string;
  children: (value: T) => ComponentChildren;
}) {
  const { value, problem } = props.asked;
  if (value === null) return problem ? <Trouble problem={problem} /> : <p class="empty loading">Loading…</p>;
  if (props.empty && Array.isArray(value) && value.length === 0) return <Empty>{props.empty}</Empty>;
  return (
    <>
      {problem && <p class="stale">Not up to date: {problem.detail}</p>}
      {props.children(value)}
    </>
  );
}

export function Ago({ timeMs }: { timeMs: number }) {
  return (
    <time dateTime={new Date(timeMs).toISOString()} title={moment(timeMs)}>
      {ago(timeMs, nowMs.value)}
    </time>
  );
}

export function ItemLink({ id }: { id: string }) {
  return (
    <a class="item" href={href("catalogue", ["item", id])} title={id}>
      {titleOf(id)}
    </a>
  );
}

export function UserLink({ id }: { id: string }) {
  return (
    <a class="user" href={href("user", [id])}>
      {id}
    </a>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <label class="choice">
      <span>{label}</span>
      <select aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([key, name]) => (
          <option key={key} value={key} selected={key === value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
