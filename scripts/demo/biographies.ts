// Short biographies, profession × gender. Gender stands in names, pronouns and kin; the profession in a few words, never by its title.

import type { SeededRandom } from "../../src/data/seededRandom.ts";
import { type BiographyTemplates, corpusTemplates, labelledTemplates } from "./biographyTemplates.ts";
import { capitalised, Grammar, type Lexicon } from "./grammar.ts";
import { type Gender, type Part, person } from "./people.ts";
import { type Profession, professions } from "./professions.ts";

export interface Biography {
  readonly text: string;
  readonly profession: string;
  readonly gender: Gender;
  readonly name: string;
  /** The sentence templates used. */
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

/** How a set of biographies is written. */
interface Manner {
  /** Whose names. */
  readonly part: Part;
  readonly templates: BiographyTemplates;
  /** Sentences about work. */
  readonly work: number;
  /** After the first sentence about work: share of the slots that name the trade, where the others only name its world. */
  readonly share: number;
  /** No phrase about work twice. */
  readonly fresh: boolean;
}

/** For the model's corpus, and for the labelled data. */
export const manners: Readonly<Record<"corpus" | Part, Manner>> = {
  corpus: { part: "train", templates: corpusTemplates, work: 2, share: 0.5, fresh: false },
  train: { part: "train", templates: labelledTemplates.train, work: 3, share: 0.8, fresh: true },
  test: { part: "test", templates: labelledTemplates.test, work: 3, share: 0.8, fresh: true },
};

/** One biography. Draws names and templates of its manner only. */
export function biography(random: SeededRandom, manner: Manner, profession: Profession, gender: Gender): Biography {
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
  const subject = person(grammar, manner.part, gender);
  const used: string[] = [];
  const { templates } = manner;
  // Of the slots that could name the trade, a share only names the world; the first sentence about work is never without.
  let share = 1;
  const ownOrShared = (kind: string) => grammar.say(grammar.chance(share) ? `{own_${kind}}` : `{shared_${kind}}`);
  const told: string[] = [];
  const another = (kind: string, ...but: readonly string[]): string => {
    const phrase = ownOrShared(kind);
    return but.includes(phrase) || (manner.fresh && told.includes(phrase)) ? another(kind, ...but) : phrase;
  };
  const sentence = (kind: keyof BiographyTemplates, but: readonly string[] = []): string => {
    const free = templates[kind].filter((template) => !but.includes(template));
    const template = grammar.one(free.length > 0 ? free : templates[kind]);
    used.push(template);
    grammar.clear();
    grammar.bind(subject.words);
    const doing = another("act");
    const topic = another("topic");
    grammar.bind({ doing, subject: topic, did: ownOrShared("past") });
    const doing2 = another("act", doing);
    const topic2 = another("topic", topic);
    grammar.bind({ doing2, subject2: topic2 });
    const text = grammar.say(template);
    told.push(...[doing, topic, doing2, topic2].filter((phrase) => text.includes(phrase)));
    return capitalised(text);
  };
  const lines = [sentence("opening")];
  const middle = [sentence("work")];
  share = manner.share;
  while (middle.length < manner.work) middle.push(sentence("work", used));
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
        const made = biography(random, manners[part], profession, gender);
        if (seen.has(made.text)) continue;
        seen.add(made.text);
        all.push(made);
      }
    }
  }
  return random.shuffle(all);
}
