// Text that is no prose: sums, number words, lists, timetables, addresses, program code, JSON and HTML.
import type { Grammar, Lexicon } from "./grammar.ts";
import { anyGender, person } from "./people.ts";

export const formatLexicon = {
  variable: [
    "total",
    "count",
    "price",
    "name",
    "index",
    "result",
    "items",
    "value",
    "row",
    "score",
    "length",
    "user",
    "text",
    "left",
    "right",
  ],
  verb: ["add", "get", "find", "count", "print", "read", "write", "sort", "check", "load", "remove", "update"],
  noun: ["item", "user", "file", "line", "word", "price", "page", "order", "row", "name"],
  goods: [
    "apples",
    "eggs",
    "milk",
    "bread",
    "rice",
    "soap",
    "candles",
    "paper",
    "pens",
    "tea",
    "butter",
    "onions",
    "batteries",
    "stamps",
  ],
  colour: ["red", "blue", "green", "black", "white", "grey"],
  weekday: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
  month: "January February March April May June July August September October November December".split(" "),
  street: ["Mill", "Station", "Church", "High", "Park", "Lake", "Garden", "Bridge", "King"],
  town: ["Bristol", "Leeds", "York", "Boston", "Denver", "Austin", "Cork", "Perth", "Toronto"],
  tag: ["div", "p", "h1", "span", "li", "b"],
  lesson: [
    "reading",
    "singing",
    "swimming",
    "drawing",
    "chess club",
    "staff meeting",
    "lunch",
    "garden work",
    "dentist",
    "piano lesson",
  ],
} satisfies Lexicon;

const units =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(
    " ",
  );
const tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

function inWords(n: number): string {
  if (n < 20) return units[n]!;
  return n % 10 === 0 ? tens[n / 10]! : `${tens[Math.floor(n / 10)]}-${units[n % 10]}`;
}

export function sums(grammar: Grammar): string {
  const lines: string[] = [];
  for (let i = 3 + grammar.random.integer(5); i > 0; i--) {
    const a = grammar.random.integer(20);
    const b = grammar.random.integer(20);
    lines.push(
      grammar.one([
        `${a} + ${b} = ${a + b}`,
        `${a + b} - ${b} = ${a}`,
        `${a % 11} x ${b % 11} = ${(a % 11) * (b % 11)}`,
        `${inWords(a)} plus ${inWords(b)} is ${inWords(a + b)}.`,
        `${inWords(a + b)} minus ${inWords(b)} is ${inWords(a)}.`,
      ]),
    );
  }
  return lines.join(grammar.chance(0.5) ? "\n" : "; ");
}

export function list(grammar: Grammar): string {
  grammar.clear();
  return grammar.say(listTemplate(grammar));
}

function listTemplate(grammar: Grammar): string {
  const kind = grammar.random.integer(4);
  if (kind === 0) {
    const lines = grammar.several(formatLexicon.goods, 4 + grammar.random.integer(4));
    return `[Shopping list|To buy]:\n${lines.map((goods) => `- {2-12} [|boxes of |packs of ]${goods}`).join("\n")}`;
  }
  if (kind === 1) {
    const days = formatLexicon.weekday.slice(0, 4 + grammar.random.integer(4));
    return `[Timetable|Plan for the week|Week {2-50}]\n${days.map((day) => `${day} {8-19}:[00|15|30|45] {lesson}`).join("\n")}`;
  }
  if (kind === 2) {
    const rows = Array.from({ length: 4 + grammar.random.integer(3) }, () => {
      const { name } = person(grammar, "train", anyGender(grammar));
      return `${name}, {10-99} {street} [Street|Road|Lane], {town}, tel. {200-999} {1000-9999}`;
    });
    return rows.join("\n");
  }
  const months = formatLexicon.month;
  const from = grammar.random.integer(8);
  return months
    .slice(from, from + 5)
    .map((month) => `{1-28} ${month} [19{50-99}|20{10-30}]: {goods}, [$|€]{3-99}.{10-99}`)
    .join("\n");
}

const snippets: readonly string[] = [
  "def {verb}_{noun}({variable#a}, {variable#b}):\n    if {variable#a} > {variable#b}:\n        return {variable#a}\n    return {variable#b} + {1-9}",
  "for {variable#a} in range({2-40}):\n    {variable#b} += {variable#a}\nprint({variable#b})",
  "def {verb}_{noun}s({variable#a}):\n    {variable#b} = []\n    for {noun#c} in {variable#a}:\n        if {noun#c}.[ready|valid|open]:\n            {variable#b}.append({noun#c})\n    return {variable#b}",
  "import json\nwith open('{noun#a}.json') as file:\n    {variable#a} = json.load(file)\nprint(len({variable#a}))",
  "function {verb}({variable#a}) {\n  const {variable#b} = {variable#a}.map((x) => x * {2-9});\n  return {variable#b};\n}",
  "let {variable#a} = {0-99};\nwhile ({variable#a} < {100-999}) {\n  {variable#a} += {1-9};\n}\nconsole.log({variable#a});",
  `{"{noun#a}": {"id": {1-999}, "{variable#a}": "{colour}", "{variable#b}": [true|false]}}`,
  `[{"name": "{goods}", "price": {1-99}.{10-99}}, {"name": "{goods}", "price": {1-99}.{10-99}}]`,
  `<{tag#a} class="{noun#a}">\n  <a href="/{noun#b}/{1-99}">{goods}</a>\n</{tag#a}>`,
  "SELECT {variable#a}, {variable#b} FROM {noun#a}s WHERE {variable#a} > {1-99} ORDER BY {variable#b};",
  "class {^ noun#a}:\n    def __init__(self, {variable#a}):\n        self.{variable#a} = {variable#a}\n\n    def {verb}(self):\n        return self.{variable#a} * {2-9}",
];

/** Code has braces and brackets of its own: only slots of known lists, ranges and choices of words are expanded. */
export function code(grammar: Grammar): string {
  grammar.clear();
  const expand = (template: string) =>
    template
      .replace(/\{(\^ )?([a-z]+#?[a-z]?|\d+-\d+)\}/g, (slot) => grammar.say(slot))
      .replace(/\[([a-z]+(?:\|[a-z]+)+)\]/g, (choice) => grammar.say(choice));
  return grammar
    .several(snippets, 1 + grammar.random.integer(2))
    .map(expand)
    .join("\n\n");
}
