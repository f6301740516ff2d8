// A file by its name, where it lies in the tooltip; a data set of the hub by its whole name.
import { html } from "lit";

export function fileName(path: string) {
  const isFile = /^([\\/]|[A-Za-z]:)/.test(path);
  return html`<span title=${path}>${isFile ? path.split(/[\\/]/).at(-1) : path}</span>`;
}
