import { useEffect, useRef, useState } from "preact/hooks";
import { denied, token, useToken } from "../api";

/** Asked for when the API wants a token, and where one is to be changed. It stays in this tab. */
export function TokenForm({ onDone }: { onDone: () => void }) {
  const [value, setValue] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    useToken(value.trim());
    onDone();
  };
  return (
    <form class="card token" onSubmit={submit} aria-label="Token">
      <label>
        Token of the API
        <input
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={value}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
      </label>
      <button type="submit">Use it</button>
      {token.value && (
        <button type="button" onClick={() => useToken("")}>
          Forget it
        </button>
      )}
      <p class="about">
        {denied.value && <span role="alert">{denied.value.detail} </span>}It is kept until this tab closes,
        and sent to this address only.
      </p>
    </form>
  );
}
