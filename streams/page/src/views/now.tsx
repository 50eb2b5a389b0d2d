import { useEffect, useState } from "preact/hooks";
import type { Report } from "../ask";
import { type Asked, useReports } from "../ask";
import { Alerts } from "../components/alerts";
import { Answer, Empty, Section, Tile } from "../components/basics";
import { Chart } from "../components/chart";
import { Flow } from "../components/flow";
import { Tail } from "../components/tail";
import { readings, useFigures } from "../figures";
import { ago, count, seconds } from "../format";
import { nowMs, rates, subscribe } from "../live";
import { windowMs } from "../route";
import type { Alert, Slate } from "../types";

/** What flows, how fast, and how well. */
export function Now() {
  useFigures();
  const alerts = useReports<Alert>("alerts", "/v1/alerts", windowMs.value);
  return (
    <>
      <Tiles />
      <Section
        title="Flow"
        about="Each dot is a record: events by topic on the left, slates by their leading source on the right. At high rates a sample."
        wide
      >
        <Flow />
      </Section>
      <Section title="Events and slates a second">
        <RatesChart />
      </Section>
      <Section title="Event to slate">
        <LatencyChart />
      </Section>
      <Section title="Newest records" about="A sample of what comes, newest first.">
        <Tail />
      </Section>
      <Section title="Alerts" about="Checks of the data that changed their status.">
        <RecentAlerts alerts={alerts} />
      </Section>
    </>
  );
}

function RecentAlerts({ alerts }: { alerts: Asked<Report<Alert>[]> }) {
  return (
    <Answer asked={alerts} empty="No alerts in this window.">
      {(found) => <Alerts reports={found.slice(-8)} />}
    </Answer>
  );
}

function Tiles() {
  const slate = useNewestSlate();
  const reading = readings.value.at(-1);
  const last = rates.value.at(-1);
  const rate = last && nowMs.value - last.time_ms < 4000 ? last : null;
  const perSecond = (channel: "events" | "slates") =>
    count((rate?.seen[channel] ?? 0) / (rate?.interval_s ?? 1));
  return (
    <dl class="tiles wide">
      <Tile name="Events" value={`${perSecond("events")} /s`} />
      <Tile name="Slates" value={`${perSecond("slates")} /s`} />
      <Tile name="Latency, p50" value={seconds(reading?.p50_s)} note="event to slate" />
      <Tile name="Latency, p99" value={seconds(reading?.p99_s)} note="event to slate" />
      <Tile name="Lag" value={count(reading?.lag)} note="records" />
      <Tile name="Newest slate" value={slate ? ago(slate.processed_ms, nowMs.value) : "–"} />
      <Tile
        name="Ranked by"
        value={slate?.model_version.split("-")[0] ?? "–"}
        {...(slate ? { note: slate.model_version } : {})}
      />
    </dl>
  );
}

function useNewestSlate(): Slate | null {
  const [slate, setSlate] = useState<Slate | null>(null);
  useEffect(() => subscribe<Slate>("slates", (records) => setSlate(records.at(-1)?.value ?? null)), []);
  return slate;
}

function RatesChart() {
  const shown = rates.value.filter((each) => each.time_ms > nowMs.value - windowMs.value);
  if (shown.length < 2) return <Empty>Rates are drawn from the moment on that this page is open.</Empty>;
  const of = (channel: "events" | "slates") =>
    shown.map((each) => (each.seen[channel] ?? 0) / each.interval_s);
  return (
    <Chart
      label="Events and slates a second"
      timesMs={shown.map((each) => each.time_ms)}
      lines={[
        { name: "events", colour: "--ink", values: of("events") },
        { name: "slates", colour: "--series-0", values: of("slates") },
      ]}
      format={count}
      toMs={nowMs.value}
    />
  );
}

function LatencyChart() {
  const shown = readings.value.filter(
    (each) => each.time_ms > nowMs.value - windowMs.value && each.p50_s !== null,
  );
  if (shown.length < 2) return <Empty>No worker tells of its latency yet.</Empty>;
  return (
    <Chart
      label="Time from an event to its slate"
      timesMs={shown.map((each) => each.time_ms)}
      lines={[
        { name: "p50", colour: "--series-0", values: shown.map((each) => each.p50_s) },
        { name: "p99", colour: "--series-7", values: shown.map((each) => each.p99_s), dash: [5, 4] },
      ]}
      format={seconds}
      toMs={nowMs.value}
    />
  );
}
