// Member stability as dots: one a member, filled where the feature was found. One drawing, since a list has many.
import { css, html, nothing } from "lit";

const size = 9;
const inLine = 12;

/** How wide the dots of so many members are, CSS pixels. */
export function foundInWidth(members: number): number {
  return Math.min(inLine, members) * size;
}

function foundInWords(members: readonly boolean[]): string {
  return `found in ${members.filter(Boolean).length} of ${members.length} members (decoder cosine at least 0.7)`;
}

/** The same with what the dots mean, for a tooltip. */
export function foundInTooltip(members: readonly boolean[]): string {
  return `${foundInWords(members)}\nOne dot a member, in their order: filled where it was found, in colour its own`;
}

interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly rings: string;
  readonly found: string;
  readonly own: string;
}

/** By pattern: there are few, and a list shows them over and over. */
const drawings = new Map<string, Drawing>();

function draw(members: readonly boolean[], own: number): Drawing {
  const key = `${own} ${members.map(Number).join("")}`;
  const known = drawings.get(key);
  if (known) return known;
  const dots = (which: (member: number) => boolean, radius: number) =>
    members
      .map((_, member) => {
        if (!which(member)) return "";
        const [x, y] = [(member % inLine) * size + size / 2, Math.floor(member / inLine) * size + size / 2];
        return `M${x - radius} ${y}a${radius} ${radius} 0 1 1 ${2 * radius} 0a${radius} ${radius} 0 1 1 ${-2 * radius} 0`;
      })
      .join("");
  const drawing = {
    width: foundInWidth(members.length),
    height: size * Math.ceil(members.length / inLine),
    rings: dots((member) => !members[member], 3),
    found: dots((member) => members[member]! && member !== own, 3.5),
    own: dots((member) => member === own, 3.5),
  };
  drawings.set(key, drawing);
  return drawing;
}

/** `own`: the feature's own member. `foundInStyle` has to be among the styles around it. */
export function foundIn(members: readonly boolean[], own: number) {
  if (members.length === 0) return nothing;
  const { width, height, rings, found, own: mine } = draw(members, own);
  return html`<svg class="found-in" role="img" aria-label=${foundInWords(members)} width=${width} height=${height}><path class="ring" d=${rings}></path><path d=${found}></path><path class="own" d=${mine}></path></svg>`;
}

export const foundInStyle = css`
  .found-in {
    display: inline-block;
    vertical-align: middle;
    fill: currentColor;
  }
  .found-in .ring {
    fill: none;
    stroke: currentColor;
  }
  .found-in .own {
    fill: var(--activation);
  }
`;
