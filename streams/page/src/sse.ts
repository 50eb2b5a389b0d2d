/** Server-sent events as the WHATWG has them, for a body read by `fetch`: `EventSource` cannot send a token. */

export interface Message {
  event: string;
  id: string;
  data: string;
}

export class SseParser {
  retryMs = 2000;
  private rest = "";
  private event = "";
  private id = "";
  private data: string[] = [];

  /** The messages that are complete with this piece. */
  feed(piece: string): Message[] {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.map((line) => this.line(line.replace(/\r$/, ""))).filter((each) => each !== null);
  }

  private line(line: string): Message | null {
    if (line === "") return this.dispatch();
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") this.event = value ?? "";
    if (field === "id") this.id = value ?? "";
    if (field === "data") this.data.push(value ?? "");
    if (field === "retry") this.retryMs = Number(value);
    return null;
  }

  private dispatch(): Message | null {
    const message = { event: this.event || "message", id: this.id, data: this.data.join("\n") };
    const empty = this.data.length === 0;
    this.event = "";
    this.data = [];
    return empty ? null : message;
  }
}
