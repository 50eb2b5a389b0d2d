export type * from "./openapi.js";
export { RilletError } from "./problem.js";
export {
  type Channels,
  type Draft,
  type How,
  type Message,
  type Options,
  type Paged,
  type PostedEvent,
  Rillet,
} from "./rillet.js";
