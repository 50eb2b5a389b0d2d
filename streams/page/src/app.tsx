import { useEffect, useRef, useState } from "preact/hooks";
import { denied, token } from "./api";
import { Choice } from "./components/basics";
import { Freshness } from "./components/freshness";
import { TokenForm } from "./components/token";
import { paused } from "./live";
import { href, refine, route, VIEWS, type View, WINDOWS, type WindowName, windowName } from "./route";
import { THEMES, theme } from "./theme";
import { Catalogue } from "./views/catalogue";
import { Data } from "./views/data";
import { Learning } from "./views/learning";
import { Now } from "./views/now";
import { Operations } from "./views/operations";
import { User } from "./views/user";

const SHOWN: Record<View, () => preact.JSX.Element> = {
  now: Now,
  user: User,
  catalogue: Catalogue,
  learning: Learning,
  data: Data,
  operations: Operations,
};

export function App() {
  const { view, path } = route.value;
  const [asking, ask] = useState(false);
  const heading = useFocusOnChange(view, path.join("/"));
  const Shown = SHOWN[view];
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        To the content
      </button>
      <header class="top">
        <strong class="brand">Rillet</strong>
        <Freshness />
        <Controls onToken={() => ask(!asking)} />
      </header>
      <Nav current={view} />
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {VIEWS[view]}
        </h1>
        {(asking || denied.value) && <TokenForm onDone={() => ask(false)} />}
        {!denied.value && (
          <div class="grid">
            <Shown key={token.value} />
          </div>
        )}
      </main>
    </>
  );
}

function Nav({ current }: { current: View }) {
  return (
    <nav aria-label="Views">
      {Object.entries(VIEWS).map(([view, name]) => (
        <a key={view} href={href(view as View)} aria-current={view === current ? "page" : undefined}>
          {name}
        </a>
      ))}
    </nav>
  );
}

function Controls({ onToken }: { onToken: () => void }) {
  const windows = Object.keys(WINDOWS).map((name) => [name as WindowName, name] as const);
  return (
    <div class="controls">
      <Choice
        label="Window"
        value={windowName.value}
        options={windows}
        onChange={(window) => refine({ window })}
      />
      <button type="button" aria-pressed={paused.value} onClick={() => (paused.value = !paused.value)}>
        {paused.value ? "Resume" : "Pause"}
      </button>
      <Choice
        label="Colours"
        value={theme.value}
        options={THEMES.map((each) => [each, each] as const)}
        onChange={(value) => (theme.value = value)}
      />
      <button type="button" onClick={onToken}>
        Token
      </button>
    </div>
  );
}

/** A change of view is told to who cannot see it: its heading takes the focus. Not at the first. It takes it as well where
 * the link that was followed is gone with what was there. */
function useFocusOnChange(view: View, path: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef<View | null>(null);
  useEffect(() => {
    document.title = `${VIEWS[view]} · Rillet`;
    const lost = before.current !== view || document.activeElement === document.body;
    if (before.current !== null && lost) heading.current?.focus();
    before.current = view;
  }, [view, path]);
  return heading;
}
