// Styles that every view shares: VS Code's colours only, so that dark, light and high contrast are right.
import { css } from "lit";

/** The hue of activation and the one warm colour of a flag. */
export const palette = css`
  :host {
    --activation: var(--vscode-charts-blue);
    --negative: var(--vscode-charts-purple);
    --flag: var(--vscode-editorWarning-foreground, var(--vscode-charts-orange));
    --hairline: var(--vscode-widget-border, var(--vscode-contrastBorder, rgba(128, 128, 128, 0.3)));
    /* What a bar has not filled: never as loud as a border may be. */
    --track: rgba(128, 128, 128, 0.25);
    --mono: var(--vscode-editor-font-family, monospace);
    --dim: var(--vscode-descriptionForeground);
  }
  /* VS Code leaves its webviews in the light scheme: checkboxes and number fields would be white on dark. */
  :host-context(.vscode-dark),
  :host-context(.vscode-high-contrast:not(.vscode-high-contrast-light)) {
    color-scheme: dark;
  }
`;

export const controls = css`
  * {
    box-sizing: border-box;
  }
  button.plain {
    font: inherit;
    color: inherit;
    background: none;
    border: 1px solid transparent;
    border-radius: 3px;
    padding: 1px 5px;
    cursor: pointer;
  }
  button.plain:hover {
    background: var(--vscode-toolbar-hoverBackground);
  }
  button.plain:disabled {
    color: var(--vscode-disabledForeground);
    background: none;
    cursor: default;
  }
  button.outlined {
    border-color: var(--hairline);
  }
  button.outlined[aria-pressed="true"] {
    background: var(--vscode-inputOption-activeBackground, var(--vscode-badge-background));
    color: var(--vscode-inputOption-activeForeground, var(--vscode-badge-foreground));
    border-color: var(--vscode-inputOption-activeBorder, var(--vscode-focusBorder));
    /* Only high contrast defines this one, and there the other three tell nothing. */
    box-shadow: inset 0 -3px var(--vscode-contrastActiveBorder, transparent);
  }
  /* What a cell begins with stands below the column's title. */
  td > button.link:first-child,
  th > button.link:first-child {
    margin-left: -6px;
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: -1px;
  }
  a {
    color: var(--vscode-textLink-foreground);
    cursor: pointer;
  }
  kbd {
    font-family: var(--mono);
    font-size: 0.9em;
    border: 1px solid var(--hairline);
    border-radius: 3px;
    padding: 0 4px;
  }
  .dim {
    color: var(--dim);
  }
  button.link {
    color: var(--vscode-textLink-foreground);
  }
  .notice {
    margin: 0;
    padding: 24px 16px;
    color: var(--dim);
  }
  /* The text keeps the colour that reads on every background; the error's colour is the bar's. */
  .error {
    color: var(--vscode-foreground);
    background: var(--vscode-inputValidation-errorBackground);
    border: 1px solid var(--vscode-inputValidation-errorBorder, var(--vscode-errorForeground));
    border-left-width: 4px;
    margin: 12px 16px;
    padding: 8px 12px;
    overflow-wrap: anywhere;
  }
`;

/** A whole webview: as high as its frame, in the editor's own letters. */
export const page = css`
  :host {
    display: block;
    height: 100vh;
    font-family: var(--vscode-font-family);
    font-size: var(--vscode-font-size);
    color: var(--vscode-foreground);
  }
`;

/** A native choice as VS Code's own look: its colours, its chevron, its focus. */
export const dropdown = css`
  select {
    appearance: none;
    font: inherit;
    color: var(--vscode-dropdown-foreground);
    background-color: var(--vscode-dropdown-background);
    /* The chevron's two strokes: a picture of it would have a colour of its own. */
    background-image: linear-gradient(45deg, transparent 41%, currentColor 41% 59%, transparent 59%),
      linear-gradient(-45deg, transparent 41%, currentColor 41% 59%, transparent 59%);
    background-position: right 12px center, right 7px center;
    background-size: 5px 5px;
    background-repeat: no-repeat;
    border: 1px solid var(--vscode-dropdown-border, var(--hairline));
    border-radius: 4px;
    padding: 2px 24px 2px 6px;
    max-width: 100%;
    text-overflow: ellipsis;
  }
  select:focus {
    outline: none;
    border-color: var(--vscode-focusBorder);
  }
  option {
    color: var(--vscode-dropdown-foreground);
    background-color: var(--vscode-dropdown-listBackground, var(--vscode-dropdown-background));
  }
`;

/** Native form controls in VS Code's colours, and the headings and tables of the views that hold forms. */
export const forms = css`
  ${dropdown}
  button.primary {
    font: inherit;
    color: var(--vscode-button-foreground);
    background: var(--vscode-button-background);
    border: 1px solid var(--vscode-button-border, transparent);
    border-radius: 2px;
    padding: 4px 12px;
    cursor: pointer;
  }
  button.primary:disabled {
    opacity: 0.5;
    cursor: default;
  }
  input[type="text"],
  input[type="number"] {
    font: inherit;
    color: var(--vscode-input-foreground);
    background: var(--vscode-input-background);
    border: 1px solid var(--vscode-input-border, var(--hairline));
    border-radius: 4px;
    padding: 2px 4px;
    max-width: 100%;
  }
  /* Names and what belongs to them, by turns; in a narrow panel one above the other. */
  .fields {
    display: grid;
    grid-template-columns: max-content minmax(0, 1fr);
    gap: 8px 12px;
    align-items: center;
  }
  .fields > span {
    overflow-wrap: anywhere;
  }
  .fields table {
    overflow-wrap: normal;
  }
  @media (max-width: 400px) {
    .fields {
      grid-template-columns: minmax(0, 1fr);
      gap: 2px;
    }
    .fields > :nth-child(odd) {
      color: var(--dim);
    }
    .fields > :nth-child(even) {
      margin-bottom: 8px;
    }
    .fields > span:empty {
      display: none;
    }
  }
  h1 {
    font-size: 1.1em;
    font-weight: 600;
    margin: 0;
  }
  h2 {
    font-size: 11px;
    font-weight: 600;
    text-transform: uppercase;
    letter-spacing: 0.04em;
    color: var(--dim);
    margin: 0 0 8px;
  }
  table {
    border-collapse: collapse;
  }
  th {
    font-weight: normal;
    text-align: left;
  }
  td {
    font-variant-numeric: tabular-nums;
  }
`;
