// A file by its name; where it lies is in the tooltip.
import { html } from "lit";

export function fileName(path: string) {
  return html`<span title=${path}>${path.split(/[\\/]/).at(-1)}</span>`;
}
