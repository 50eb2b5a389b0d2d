import { useState } from "preact/hooks";
import { at, Problem, post } from "../api";
import { useAsk } from "../ask";
import { bytes, count, words } from "../format";
import { windowMs } from "../route";
import type { DeadLetterFull, DeadLetterSummary, Page, ReplayAnswer, ReplayRequest } from "../types";
import { Ago, Answer, Choice, Empty } from "./basics";
import { Table } from "./table";
import { Trouble } from "./trouble";

const SHOWN = 50;
const ANY = "";

/** What was refused and why; after a fix it can be sent again. */
export function DeadLetters() {
  const [reason, setReason] = useState(ANY);
  const [open, setOpen] = useState<DeadLetterSummary | null>(null);
  const since_ms = Math.floor((Date.now() - windowMs.value) / 60_000) * 60_000;
  const all = useAsk<Page>("/v1/dead-letters", { since_ms, limit: 500 }, 5000);
  const letters = (all.value?.items ?? []) as DeadLetterSummary[];
  const reasons = [...new Set(letters.map((each) => each.reason))].sort();
  const options = [[ANY, "any reason"] as const, ...reasons.map((each) => [each, words(each)] as const)];
  const shown = letters.filter((each) => reason === ANY || each.reason === reason).slice(0, SHOWN);
  return (
    <Answer asked={all}>
      {() => (
        <>
          <Choice label="Refused for" value={reason} options={options} onChange={setReason} />
          <Replay key={reason} reason={reason} />
          {shown.length ? (
            <Letters letters={shown} onOpen={setOpen} />
          ) : (
            <Empty>Nothing was refused in this window.</Empty>
          )}
          {open && (
            <Letter key={`${open.partition} ${open.offset}`} letter={open} onClose={() => setOpen(null)} />
          )}
        </>
      )}
    </Answer>
  );
}

function Letters(props: { letters: DeadLetterSummary[]; onOpen: (letter: DeadLetterSummary) => void }) {
  return (
    <Table
      caption="Dead letters, newest first"
      rows={props.letters}
      keyOf={(each) => `${each.partition} ${each.offset}`}
      columns={[
        {
          head: "Reason",
          cell: (each) => (
            <button type="button" class="link" onClick={() => props.onOpen(each)}>
              {words(each.reason)}
            </button>
          ),
        },
        { head: "Detail", cell: (each) => each.detail, text: true },
        { head: "Topic", cell: (each) => each.topic, text: true },
        { head: "Key", cell: (each) => each.key, text: true },
        { head: "Size", cell: (each) => bytes(each.size_bytes) },
        { head: "Tries", cell: (each) => each.attempt },
        { head: "Refused", cell: (each) => <Ago timeMs={each.refused_ms} /> },
      ]}
    />
  );
}

function Letter({ letter, onClose }: { letter: DeadLetterSummary; onClose: () => void }) {
  const asked = useAsk<DeadLetterFull>(at("dead-letters", letter.partition, letter.offset));
  return (
    <section class="letter" aria-label="The refused record">
      <header>
        <h3>
          {letter.topic} {letter.source_partition}/{letter.source_offset}
        </h3>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </header>
      <Answer asked={asked}>{(full) => <pre>{full.value_text}</pre>}</Answer>
    </section>
  );
}

/** Needs a token with the scope `admin`, where tokens are set. It is tried dry first. */
function Replay({ reason }: { reason: string }) {
  const [answer, setAnswer] = useState<ReplayAnswer | Problem | null>(null);
  const [asking, setAsking] = useState(false);
  const ask = (dry_run: boolean) => {
    const asked: ReplayRequest = { dry_run, ...(reason === ANY ? {} : { reason }) };
    setAsking(true);
    post<ReplayAnswer>("/v1/dead-letters/replay", asked)
      .then(setAnswer, (error) => setAnswer(error as Problem))
      .finally(() => setAsking(false));
  };
  const tried = answer && !(answer instanceof Problem) && answer.dry_run && sum(answer.sent) > 0;
  return (
    <div class="actions" aria-live="polite">
      <button type="button" disabled={asking} onClick={() => ask(true)}>
        What would be sent again?
      </button>
      {tried && (
        <button type="button" class="danger" disabled={asking} onClick={() => ask(false)}>
          Send {count(sum(answer.sent))} again
        </button>
      )}
      {answer instanceof Problem && <Trouble problem={answer} />}
      {answer && !(answer instanceof Problem) && <p class="about">{told(answer)}</p>}
    </div>
  );
}

function sum(sent: Record<string, number>): number {
  return Object.values(sent).reduce((all, n) => all + n, 0);
}

function told({ dry_run, sent, exhausted, homeless }: ReplayAnswer): string {
  const byTopic = Object.entries(sent).map(([topic, n]) => `${n} to ${topic}`);
  const first = `${dry_run ? "Would send" : "Sent"} ${byTopic.join(", ") || "nothing"}.`;
  const left = exhausted + homeless;
  return left
    ? `${first} Left: ${exhausted} refused too often, ${homeless} from no topic of the shop.`
    : first;
}
