import { useState } from "preact/hooks";
import { at } from "../api";
import { useAsk, useList } from "../ask";
import { Ago, Answer, Empty, ItemLink, Section } from "../components/basics";
import { Table } from "../components/table";
import { count, moment, percent } from "../format";
import { go, href, route } from "../route";
import type { Item, Leaderboard, Page, RankedItem, Related, RunningPromotion, Trending } from "../types";

const EVERY_MS = 5000;
const OVERALL = "*";

export function Catalogue() {
  const [kind, id] = route.value.path;
  if (kind === "item" && id) return <OneItem key={id} id={id} />;
  return (
    <>
      <Leaderboards name={kind === "board" && id ? id : OVERALL} />
      <Section title="Items">
        <Items />
      </Section>
      <Section title="Promotions" wide>
        <Promotions query={{}} />
      </Section>
    </>
  );
}

function Leaderboards({ name }: { name: string }) {
  const names = useList<Leaderboard>("/v1/leaderboards", {}, EVERY_MS * 4);
  return (
    <Section
      title="Leaderboard"
      about="Most popular now, all in all or of a category; the count halves with time."
    >
      <Answer asked={names} empty="No leaderboard has been published yet.">
        {(found) => (
          <>
            <label class="choice">
              <span>Of</span>
              <select
                value={name}
                onChange={(event) => go("catalogue", ["board", event.currentTarget.value])}
              >
                {found.map((each) => (
                  <option key={each.name} value={each.name} selected={each.name === name}>
                    {each.name === OVERALL ? "all categories" : each.name}
                  </option>
                ))}
              </select>
            </label>
            <Board name={name} />
          </>
        )}
      </Answer>
    </Section>
  );
}

function Board({ name }: { name: string }) {
  const asked = useAsk<Trending>(at("leaderboards", name), {}, EVERY_MS);
  return (
    <Answer asked={asked}>
      {(board) => (
        <>
          <Ranked items={board.items.slice(0, 15)} />
          <p class="about">
            Updated <Ago timeMs={board.updated_ms} />
          </p>
        </>
      )}
    </Answer>
  );
}

function Ranked({ items }: { items: readonly RankedItem[] }) {
  const best = Math.max(1e-9, ...items.map(([, score]) => score));
  return (
    <ol class="ranked">
      {items.map(([id, score]) => (
        <li key={id}>
          <ItemLink id={id} />
          <i class="bar" style={{ width: `${(100 * score) / best}%` }} aria-hidden="true" />
          <small>{count(score)}</small>
        </li>
      ))}
    </ol>
  );
}

function Items() {
  const [prefix, setPrefix] = useState("");
  const asked = useAsk<Page>("/v1/items", { prefix, limit: 20 });
  return (
    <>
      <label class="choice">
        <span>Ids that begin with</span>
        <input type="search" value={prefix} onInput={(event) => setPrefix(event.currentTarget.value)} />
      </label>
      <Answer asked={asked}>
        {({ items }) =>
          items.length ? <ItemTable items={items as Item[]} /> : <Empty>The catalogue has none.</Empty>
        }
      </Answer>
    </>
  );
}

function ItemTable({ items }: { items: Item[] }) {
  return (
    <Table
      caption="Items"
      rows={items}
      keyOf={(item) => item.item_id}
      columns={[
        {
          head: "Item",
          cell: (item) => (
            <a href={href("catalogue", ["item", item.item_id])}>{item.title ?? item.item_id}</a>
          ),
        },
        { head: "Id", cell: (item) => item.item_id, text: true },
        { head: "Category", cell: (item) => item.category, text: true },
        { head: "Price", cell: (item) => item.price?.toFixed(2) },
      ]}
    />
  );
}

function OneItem({ id }: { id: string }) {
  const asked = useAsk<Page>("/v1/items", { item: [id] });
  return (
    <>
      <p class="wide">
        <a href={href("catalogue")}>All of the catalogue</a>
      </p>
      <Section title={id}>
        <Answer asked={asked}>
          {({ items }) =>
            items[0] ? <Attributes item={items[0] as Item} /> : <Empty>The catalogue does not know it.</Empty>
          }
        </Answer>
      </Section>
      <Section title="Goes with it">
        <RelatedItems id={id} />
      </Section>
      <Section title="Promotions" wide>
        <Promotions query={{ item: id }} />
      </Section>
    </>
  );
}

function Attributes({ item }: { item: Item }) {
  const pairs = Object.entries(item).filter(([name]) => !["item_id", "schema_version"].includes(name));
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd>
            {name.endsWith("_ms")
              ? moment(Number(value))
              : typeof value === "object"
                ? JSON.stringify(value)
                : String(value)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function RelatedItems({ id }: { id: string }) {
  const asked = useAsk<Related>(at("items", id, "related"), {}, EVERY_MS);
  if (asked.problem?.status === 404) return <Empty>Nothing is known to go with it yet.</Empty>;
  return <Answer asked={asked}>{({ items }) => <Ranked items={items.slice(0, 15)} />}</Answer>;
}

function Promotions({ query }: { query: Record<string, string> }) {
  const asked = useList<RunningPromotion>("/v1/promotions", query, EVERY_MS * 2);
  return (
    <Answer asked={asked} empty="There are no promotions.">
      {(found) => (
        <Table
          caption="Promotions"
          rows={found
            .toSorted((a, b) => Number(b.active) - Number(a.active) || b.starts_ms - a.starts_ms)
            .slice(0, 30)}
          keyOf={(each) => each.promotion_id}
          columns={[
            { head: "Promotion", cell: (each) => each.promotion_id },
            {
              head: "State",
              cell: (each) => (each.active ? <b class="tag pass">running</b> : "not now"),
              text: true,
            },
            { head: "Of", cell: (each) => <Scope promotion={each} />, text: true },
            { head: "Discount", cell: (each) => percent(each.discount, 0) },
            { head: "From", cell: (each) => moment(each.starts_ms) },
            { head: "To", cell: (each) => moment(each.ends_ms) },
          ]}
        />
      )}
    </Answer>
  );
}

function Scope({ promotion }: { promotion: RunningPromotion }) {
  const items = promotion.item_ids ?? [];
  if (items[0] === undefined) return <>{promotion.category ?? "everything"}</>;
  return (
    <>
      <ItemLink id={items[0]} />
      {items.length > 1 && ` and ${items.length - 1} more`}
    </>
  );
}
