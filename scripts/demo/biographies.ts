// Short biographies, profession × gender. Gender stands in names, pronouns and kin; the profession in a few words, never by its title.

import type { SeededRandom } from "../../src/data/seededRandom.ts";
import { capitalised, Grammar, type Lexicon } from "./grammar.ts";
import { type Gender, type Part, person } from "./people.ts";
import { type Profession, professions } from "./professions.ts";

export interface Biography {
  readonly text: string;
  readonly profession: string;
  readonly gender: Gender;
  readonly name: string;
  /** Which sentence templates were used: indices into `sentenceTemplates[part]`, kind by kind. */
  readonly templates: readonly string[];
}

const common: Lexicon = {
  town: [
    `[Bristol|Leeds|York|Cork|Boston|Denver|Austin|Toronto|Lyon|Nantes|Porto|Seville|Turin|Krakow|Prague|Vienna|Oslo|Bergen|Riga|Athens|Cairo|Tunis|Lagos|Accra|Nairobi|Mumbai|Pune|Delhi|Hanoi|Seoul|Osaka|Lima|Quito|Bogota|Perth|Auckland]`,
  ],
  hobby: [
    "[long walks|hill walking|swimming|cycling|running] [in the hills|along the coast|at weekends|]",
    "[baking bread|cooking|gardening|chess|choral singing|bird watching|pottery|sailing|board games|old films|jazz]",
    "[playing|learning] the [piano|guitar|violin|flute]",
  ],
  kin: [
    "{his} [husband|wife|partner] and {his} [two|three] [children|sons|daughters]",
    "{his} [father|mother|brother|sister|parents]",
    "[two cats|a dog|an old dog] and {his} [husband|wife|partner]",
  ],
  trait: ["patience", "calm", "good humour", "care", "energy", "honesty", "curiosity", "modesty"],
  year: ["19{70-99}", "200{0-9}", "201{0-9}"],
};

interface Templates {
  readonly opening: readonly string[];
  readonly work: readonly string[];
  readonly past: readonly string[];
  readonly person: readonly string[];
  readonly home: readonly string[];
}

/** Sentence templates; the test part's are others than the training part's. */
export const sentenceTemplates: Readonly<Record<Part, Templates>> = {
  train: {
    opening: [
      "{name} works at {place} in {town}.",
      "{name} was born in {town} and studied {study} in {town}.",
      "{name} grew up in {town}, where {his} [father|mother] kept a small shop.",
      "Since {year}, {name} has worked at {place} in {town}.",
      "{name} is well known at {place}, where {he} started in {year}.",
      "After a degree in {study}, {name} moved to {town}.",
      "{Mr} {surname}, whose first name is {first}, came to {town} in {year}.",
      "When {first} {surname} was a young {man}, {he} left {town} to study {study}.",
      "Meet {name}, who has spent {5-30} years at {place}.",
      "{name} holds a degree in {study} from {town}.",
      "{name} is the [first|second|only] [{son}|child] of a family from {town}.",
      "Most people in {town} know {name} from {place}.",
    ],
    work: [
      "Every day {he} {doing}.",
      "{^ he} {doing}, and {he} {doing2}.",
      "{^ his} main interest is {subject}.",
      "{^ he} {doing} and never goes far without {tool}.",
      "At work {he} {doing}.",
      "{^ he} speaks often about {subject}.",
      "On most days {he} {doing} or {doing2}.",
      "{^ he} has a special interest in {subject} and {subject2}.",
      "People who work with {him} say that {he} {doing} with {trait}.",
      "{first} {doing}, which {he} calls the best part of the job.",
      "These days {he} {doing}.",
    ],
    past: [
      "In {year} {he} {did}.",
      "{^ he} also {did}.",
      "Earlier in {his} career {he} {did}.",
      "Two years later {he} {did} in {town}.",
      "With {his} colleagues {he} {did}.",
      "Before that, {he} {did}.",
    ],
    person: [
      "Colleagues praise {his} {trait}.",
      "{^ he} likes {hobby}.",
      "In {his} free time {he} enjoys {hobby}.",
      "{first} says that {his} {trait} comes from {his} [father|mother|grandmother|grandfather].",
      "Friends admire {him} for {his} {trait}.",
      "When {he} is not at work, {he} loves {hobby}.",
      "{^ he} taught {himself} [Spanish|Arabic|German|French|Hindi].",
    ],
    home: [
      "{^ he} lives in {town} with {kin}.",
      "{^ he} and {his} [husband|wife|partner] live near {town}.",
      "At home, {he} spends {his} evenings with {kin}.",
      "{^ he} is the {father} of [two|three|four] children.",
      "{^ his} [son|daughter|brother|sister] says that {he} never sits still.",
      "{first} shares {his} home in {town} with {kin}.",
    ],
  },
  test: {
    opening: [
      "{name} can be found most mornings at {place} in {town}.",
      "A native of {town}, {name} trained in {study}.",
      "It was in {year} that {name} first came to {place}.",
      "{town} is home to {name}, who chose {study} early on.",
      "Few people know {place} as well as {name} does.",
      "{Mr} {first} {surname} arrived in {town} with a degree in {study}.",
    ],
    work: [
      "There {he} {doing}.",
      "A normal week means that {he} {doing} and {doing2}.",
      "What drives {him} is {subject}.",
      "Armed with {tool}, {he} {doing}.",
      "Those who know {him} say {he} {doing} better than anyone.",
      "For {him}, nothing matters more than {subject}.",
    ],
    past: [
      "It was {he} who {did}.",
      "Years ago {he} {did}, much to {his} own surprise.",
      "Among other things, {he} {did} in {year}.",
    ],
    person: [
      "Away from work, {hobby} keeps {him} happy.",
      "{^ his} {trait} is famous.",
      "{first} relaxes with {hobby}.",
    ],
    home: [
      "{^ his} home is in {town}, with {kin}.",
      "Evenings belong to {kin}.",
      "{^ he} became a {father} in {year}.",
    ],
  },
};

/** One biography. Draws names and templates of its part only. */
export function biography(random: SeededRandom, part: Part, profession: Profession, gender: Gender): Biography {
  const own = profession.own;
  const world = profession.world;
  const lexicon: Lexicon = {
    ...common,
    place: world.place,
    study: world.study,
    tool: own.tool,
    own_act: own.act,
    shared_act: world.sharedAct,
    own_topic: own.topic,
    shared_topic: world.sharedTopic,
    own_past: own.past,
    shared_past: world.sharedPast,
  };
  const grammar = new Grammar(random, lexicon);
  const subject = person(grammar, part, gender);
  const used: string[] = [];
  const templates = sentenceTemplates[part];
  // Of the slots that could name the trade, half only name the world; the first sentence about work is never without.
  let share = 1;
  const ownOrShared = (kind: string) => grammar.say(grammar.chance(share) ? `{own_${kind}}` : `{shared_${kind}}`);
  const another = (kind: string, first: string): string => {
    const second = ownOrShared(kind);
    return second === first ? another(kind, first) : second;
  };
  const sentence = (kind: keyof Templates, but: readonly string[] = []): string => {
    const free = templates[kind].filter((template) => !but.includes(template));
    const template = grammar.one(free.length > 0 ? free : templates[kind]);
    used.push(template);
    grammar.clear();
    grammar.bind(subject.words);
    const doing = ownOrShared("act");
    const topic = ownOrShared("topic");
    grammar.bind({ doing, subject: topic, did: ownOrShared("past") });
    grammar.bind({ doing2: another("act", doing), subject2: another("topic", topic) });
    return capitalised(grammar.say(template));
  };
  const lines = [sentence("opening")];
  const middle = [sentence("work")];
  share = 0.5;
  middle.push(sentence("work", used));
  if (grammar.chance(0.7)) middle.push(sentence("past"));
  if (grammar.chance(0.6)) middle.push(sentence("person"));
  lines.push(...random.shuffle(middle));
  if (grammar.chance(0.7)) lines.push(sentence("home"));
  return {
    text: lines.join(" "),
    profession: profession.profession,
    gender,
    name: subject.name,
    templates: used,
  };
}

/** `perCell` biographies of every profession and gender, in random order. */
export function biographies(random: SeededRandom, part: Part, perCell: number): Biography[] {
  const all: Biography[] = [];
  for (const profession of professions) {
    for (const gender of ["female", "male"] as const) {
      const seen = new Set<string>();
      while (seen.size < perCell) {
        const made = biography(random, part, profession, gender);
        if (seen.has(made.text)) continue;
        seen.add(made.text);
        all.push(made);
      }
    }
  }
  return random.shuffle(all);
}
