// The columns of a labelled file as a select's options.
import { html } from "lit";
import { live } from "lit/directives/live.js";

/** A select's own value can't be set before its options are there, so the option says that it is chosen. */
export const columnOptions = (names: readonly string[], chosen: string) =>
  names.map(
    (name, at) =>
      html`<option .value=${name} .selected=${live(name === chosen)}>${name || `(column ${at + 1})`}</option>`,
  );
