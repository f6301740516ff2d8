// Tiny stories, letters and dialogues: people with pronouns, causes with their consequences.
import { capitalised, type Grammar, type Lexicon } from "./grammar.ts";
import { anyGender, person } from "./people.ts";

export const everydayWords: Lexicon = {
  colour: ["red", "blue", "green", "yellow", "white", "black", "brown", "grey", "golden", "purple"],
  size: ["small", "tiny", "big", "large", "huge", "long", "heavy", "light"],
  pet: ["dog", "cat", "rabbit", "parrot", "pony", "kitten", "puppy", "hamster", "goat", "duck"],
  wild: ["fox", "bear", "owl", "deer", "wolf", "squirrel", "hedgehog", "crow", "frog", "otter", "hare", "badger"],
  toy: ["ball", "kite", "doll", "drum", "toy boat", "puzzle", "train set", "teddy bear", "bicycle", "marble"],
  tool: ["hammer", "ladder", "rope", "lamp", "bucket", "spade", "broom", "needle", "key", "map"],
  food: [
    "apple",
    "cake",
    "sandwich",
    "bowl of soup",
    "slice of bread",
    "piece of cheese",
    "pear",
    "biscuit",
    "egg",
    "plum",
  ],
  drink: ["tea", "milk", "water", "juice", "cocoa", "coffee", "lemonade"],
  place: [
    "the park",
    "the market",
    "the library",
    "the forest",
    "the beach",
    "the garden",
    "the station",
    "the harbour",
    "the old mill",
    "the school yard",
    "the museum",
    "the village square",
    "the kitchen",
    "the lake",
    "the hill behind the house",
  ],
  weekday: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
  month: [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
  ],
  daytime: ["morning", "afternoon", "evening"],
  glad: ["happy", "glad", "proud", "cheerful", "delighted"],
  sad: ["sad", "upset", "lonely", "disappointed", "unhappy"],
  afraid: ["afraid", "scared", "frightened", "nervous"],
};

/** Story arcs: problem, cause, help, ending. `1` is the main person, `2` the other. */
const arcs: readonly (readonly string[])[] = [
  [
    "[One {daytime}|On {weekday}|Last {weekday} {daytime}], {first1} went to {place#a} with {his1} {colour} {toy#a}.",
    "[The wind was strong|It was raining hard|It began to snow|The ground was wet and slippery], so the {toy#a} [fell into a puddle|rolled into a ditch|got stuck in a tree|slid under a fence].",
    "{first1} was {sad} and [began to cry|did not know what to do|sat down on a stone].",
    `{first2} saw {him1} and asked, "What is wrong?"`,
    "{^ he2} [fetched {a tool}|climbed over the wall|ran to the spot] and brought the {toy#a} back.",
    `"Thank you!" said {first1}. {^ he1} was {glad} again, and they [walked home together|played until dark|shared {a food}].`,
  ],
  [
    "{first1} had {a size} {pet#a} {called}.",
    "Every {daytime} {he1} gave the {pet#a} [some food|fresh water|a clean bed] before {he1} went to [school|work].",
    "One day {he1} forgot to close the gate, and the {pet#a} ran away to {place#a}.",
    "{first1} looked for it [everywhere|in every street|until it was dark], because {he1} loved it very much.",
    `{^ his1} {brother2} {first2} said, "{call_it}"`,
    "At last they heard a sound behind [a bush|a shed|a pile of wood]. It was the {pet#a}!",
    "From then on, {first1} always closed the gate.",
  ],
  [
    "Once upon a time, there was {a size} {wild#a} who lived near {place#a}.",
    "The {wild#a} was {afraid} of [the dark|thunder|deep water|loud noises].",
    "One night {a wild#b} came by and asked for help, because its [foot|wing|tail|nest] was [hurt|stuck|broken|wet].",
    `The {wild#a} thought, "If I stay here, nobody will help my friend."`,
    "So it [went out into the dark|crossed the river|ran through the storm] and brought [warm leaves|some berries|a long stick].",
    "After that night, the {wild#a} was not {afraid} any more, and the two were friends.",
  ],
  [
    "{first1} wanted to make {a food#a} for {his1} {friend}, {first2}.",
    "{^ he1} took [flour and eggs|a pan and some butter|two bowls and a spoon] and put them on the table.",
    "But {he1} left the oven on for too long, and soon there was smoke in the kitchen.",
    "{first2} opened the window and {he2} laughed. [Nobody was hurt|Nothing was lost|It was only a little smoke].",
    `"Next time {i_will}," said {first1}.`,
    "Then they drank {drink} and ate [bread|fruit|soup] instead.",
  ],
  [
    "{first1} and {first2} found {a colour} [box|bag|letter|coin] at {place#a} on {weekday}.",
    `"[Who lost this?|Whose is it?|Where does it come from?]" asked {first2}.`,
    "{first1} did not know, so {he1} asked [the baker|the driver|an old {man1}|the postman].",
    "[Inside there was|It hid|It held] {a tool} and a note with the name of {place#b}.",
    "They went there together, and {he2} gave it back to its owner.",
    "The owner was so {glad} that {first2} got {a food} as a present, and {first1} got {a toy}.",
  ],
  [
    "It was {first1}'s birthday. {^ he1} was {5-12} years old.",
    "{^ his1} {father1} gave {him1} {a toy#a}, and {his1} {uncle1} sent {a colour} [coat|scarf|hat|book].",
    "{first2} came late because {his2} [bus was slow|bicycle was broken|{father2} was ill].",
    "{^ he2} was {sad}, for {he2} had no present.",
    `"You are here. That is enough," said {first1}, and {he1} gave {him2} a piece of cake.`,
    "They played with the {toy#a} all {daytime}.",
  ],
  [
    "{first1} could not sleep. {^ he1} heard a noise in {place#a}.",
    "{^ he1} took {a tool#a} and went to look. {^ his1} heart beat fast, because {he1} was {afraid}.",
    "There was only {a wild} that wanted [food|a warm place|to play].",
    "{first1} put down the {tool#a} and gave it some {drink}.",
    `In the morning {he1} told {his1} {brother2} {first2}, but {he2} only laughed and said, "You were dreaming."`,
  ],
];

const storyWords: Lexicon = {
  called: ["called Max", "called Spot", "called Luna", "called Pepper", "and its name was Coco"],
  call_it: [
    "Let us call its name.",
    "Did you look behind the house?",
    "Do not cry, we will find it.",
    "Where did you see it last?",
  ],
  friend: ["friend", "neighbour", "cousin", "teacher"],
  i_will: ["I will watch the clock", "I will ask for help", "we will cook together", "I will read the recipe first"],
};

const letterWords = {
  greeting: ["Dear {first2}", "Hello {first2}", "Hi {first2}", "Dear {Mr2} {surname2}"],
  reason: [
    "thank you for your letter of {month} {1-28}",
    "I am sorry that I did not write sooner",
    "I hope that you are well",
    "I am writing about the meeting on {weekday}",
    "please send me the papers before {weekday}",
    "we would like to invite you to dinner at {place}",
  ],
  news: [
    "My {father1} has been ill, but is much better now.",
    "We moved to a new house with {a colour} door and a large garden.",
    "The train was {10-90} minutes late, so I missed the meeting.",
    "I have a new job and I start on {month} {1-28}.",
    "Our {pet} had {3-7} young ones last week.",
    "The rent is {300-950} euros a month, which is more than we expected.",
    "I enclose a cheque for {20-400} dollars.",
    "The order of {month} {1-28} has not arrived yet.",
  ],
  wish: [
    "Could you call me on {weekday}?",
    "Please let me know if the date suits you.",
    "I look forward to your answer.",
    "Would you like to visit us in {month}?",
    "Please give my love to your family.",
    "Do you still have my {tool}?",
  ],
  bye: ["Yours sincerely", "Best wishes", "With love", "Kind regards", "Yours"],
} satisfies Lexicon;

const exchanges: readonly (readonly [string, string])[] = [
  ["Excuse me, where is {place#a}?", "Go straight on and turn [left|right] at the [bank|bridge|church|second street]."],
  ["How much is the {colour#a} [shirt|coat|bag|hat]?", "It costs {12-95} [dollars|euros|pounds]."],
  ["What time does the train leave?", "It leaves at {6-11}:{10-55} from platform {1-12}."],
  ["Can I help you?", "Yes, please. I am looking for {a tool}."],
  ["Would you like some {drink}?", "[No, thank you. I am not thirsty.|Yes, please, with a little sugar.]"],
  [
    "Did you see the [game|film|news] last night?",
    "[Yes, it was wonderful.|No, I was too tired and went to bed early.]",
  ],
  ["Why are you so {sad}?", "Because I lost my {tool} at {place}."],
  ["Why are you smiling?", "Because my {brother2} is coming home on {weekday}!"],
  ["Who broke the window?", "I did. I am very sorry."],
  ["When is your birthday?", "It is on {month} {1-28}."],
  ["Is it going to rain?", "I think so. Take your umbrella."],
  ["How old is your {pet}?", "It is {2-14} years old."],
  ["Do you have a table for {2-6}?", "Yes, by the window. Please follow me."],
  ["I do not feel well.", "You should see a doctor. Do you have a fever?"],
  ["May I open the window?", "Of course. It is very warm in here."],
  ["What did the doctor say?", "{^ he2} said that I must rest for {2-9} days."],
  ["Have you finished your homework?", "Not yet. I still have {2-9} exercises to do."],
];

function cast(grammar: Grammar): void {
  grammar.clear();
  const first = person(grammar, "train", anyGender(grammar), "1");
  const second = person(grammar, "train", anyGender(grammar), "2", [first.first]);
  grammar.bind(first.words);
  grammar.bind(second.words);
}

export function story(grammar: Grammar): string {
  cast(grammar);
  const arc = grammar.one(arcs);
  const lines = arc.filter((_, i) => i === 0 || i === arc.length - 1 || grammar.chance(0.85));
  return lines.map((line) => capitalised(grammar.say(line))).join(grammar.chance(0.2) ? "\n" : " ");
}

export function letter(grammar: Grammar): string {
  cast(grammar);
  const body = [
    `${capitalised(grammar.say("{reason}"))}.`,
    ...grammar.several(letterWords.news, 1 + grammar.random.integer(2)).map((line) => grammar.say(line)),
    grammar.say("{wish}"),
  ];
  return grammar.say(`{greeting},\n${body.join(" ")}\n{bye},\n[{first1}|{name1}]`);
}

export function dialogue(grammar: Grammar): string {
  cast(grammar);
  const turns = grammar.several(exchanges, 2 + grammar.random.integer(3)).map(([question, answer]) => {
    const asked = capitalised(grammar.say(question));
    const said = capitalised(grammar.say(answer));
    return [asked, said] as const;
  });
  if (grammar.chance(0.5)) return turns.map(([q, a]) => grammar.say(`{first1}: ${q}\n{first2}: ${a}`)).join("\n");
  const verbs = turns.map(([q, a]) => {
    const asked = q.endsWith("?") ? `"${q}" asked` : `"${q.replace(/\.$/, ",")}" said`;
    return grammar.say(
      `${asked} {first1}. "${a.replace(/\.$/, ",")}" [{he2} answered|said {first2}|{first2} replied|{he2} said to {him1}].`,
    );
  });
  return verbs.join("\n");
}

export const everydayLexicon: Lexicon = { ...everydayWords, ...storyWords, ...letterWords };
