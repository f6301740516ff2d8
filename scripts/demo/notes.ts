// Weather, sport and news notes, recipes, and facts on animals, places, science and music.
import { capitalised, type Grammar, type Lexicon } from "./grammar.ts";
import { anyGender, person } from "./people.ts";

const city =
  "[London|Paris|Rome|Berlin|Madrid|Oslo|Vienna|Prague|Warsaw|Athens|Cairo|Nairobi|Lagos|Delhi|Mumbai|Tokyo|Seoul|Beijing|Sydney|Toronto|Chicago|Boston|Lima|Bogota]";

export const noteLexicon: Lexicon = {
  city: [city],
  weekday: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
  month: "January February March April May June July August September October November December".split(" "),
  sky: ["sunny", "cloudy", "foggy", "rainy", "windy", "stormy", "clear and cold", "warm and dry"],
  region: [
    "the north",
    "the south",
    "the coast",
    "the valleys",
    "the mountains",
    "the islands",
    "the east",
    "inland areas",
  ],
  team: [`${city} [United|City|Rovers|Lions|Eagles|Tigers]`],
  sport: ["football", "basketball", "tennis", "hockey", "rugby", "cricket", "volleyball", "swimming"],
  body: [
    "the city council",
    "the government",
    "the court",
    "the ministry of health",
    "the railway company",
    "a local bank",
    "the university",
  ],
  plan: [
    "build a new bridge",
    "close the old factory",
    "raise the price of water",
    "plant {200-900} trees",
    "repair the main road",
    "open {2-9} new schools",
    "cut taxes next year",
  ],
  opinion: [
    "residents welcomed the plan",
    "farmers protested against the plan",
    "experts warned about the cost",
    "shop owners were divided",
  ],
  percent: ["{2-48} percent"],
  vegetable: ["onions", "carrots", "tomatoes", "potatoes", "peppers", "leeks", "beans", "mushrooms", "peas"],
  meat: ["chicken", "beef", "lamb", "fish", "tofu", "pork"],
  spice: ["salt and pepper", "paprika", "thyme", "cumin", "fresh basil", "garlic", "parsley", "ginger"],
  fat: ["olive oil", "butter", "vegetable oil"],
  dish: ["soup", "stew", "pie", "salad", "curry", "pasta", "casserole", "omelette"],
  sweet: ["lemon cake", "apple tart", "chocolate biscuits", "rice pudding", "banana bread", "pancakes", "plum crumble"],
};

const animals: readonly (readonly [string, string, string, string, string])[] = [
  ["lion", "mammal", "grasslands", "meat", "roars"],
  ["elephant", "mammal", "forests and savannas", "grass, bark and fruit", "trumpets"],
  ["dolphin", "mammal", "warm seas", "fish and squid", "clicks and whistles"],
  ["bat", "mammal", "caves", "insects and fruit", "calls in tones that we cannot hear"],
  ["eagle", "bird", "mountains", "fish and small mammals", "screams"],
  ["penguin", "bird", "cold southern coasts", "fish and krill", "brays"],
  ["owl", "bird", "woods and barns", "mice and voles", "hoots"],
  ["crocodile", "reptile", "rivers and swamps", "fish and deer", "hisses"],
  ["tortoise", "reptile", "dry plains", "leaves and flowers", "is almost silent"],
  ["frog", "amphibian", "ponds", "flies and worms", "croaks"],
  ["salmon", "fish", "rivers and seas", "smaller fish", "makes no sound"],
  ["shark", "fish", "oceans", "seals and fish", "makes no sound"],
  ["bee", "insect", "hives and meadows", "nectar and pollen", "hums"],
  ["ant", "insect", "nests under the ground", "seeds and sugar", "makes no sound"],
  ["spider", "arachnid", "webs and burrows", "insects", "makes no sound"],
  ["wolf", "mammal", "northern forests", "deer and elk", "howls"],
  ["whale", "mammal", "deep oceans", "krill and plankton", "sings"],
  ["camel", "mammal", "deserts", "dry grass and thorny plants", "grunts"],
];
const covering: Readonly<Record<string, string>> = {
  mammal: "is warm-blooded and feeds its young with milk",
  bird: "has feathers and lays eggs",
  reptile: "has scales and is cold-blooded",
  amphibian: "lives both in water and on land",
  fish: "breathes through gills",
  insect: "has six legs",
  arachnid: "has eight legs",
};
const countries: readonly (readonly [string, string, string, string, string])[] = [
  ["France", "Paris", "Europe", "French", "the euro"],
  ["Germany", "Berlin", "Europe", "German", "the euro"],
  ["Italy", "Rome", "Europe", "Italian", "the euro"],
  ["Spain", "Madrid", "Europe", "Spanish", "the euro"],
  ["Portugal", "Lisbon", "Europe", "Portuguese", "the euro"],
  ["Poland", "Warsaw", "Europe", "Polish", "the zloty"],
  ["Norway", "Oslo", "Europe", "Norwegian", "the krone"],
  ["Greece", "Athens", "Europe", "Greek", "the euro"],
  ["Japan", "Tokyo", "Asia", "Japanese", "the yen"],
  ["China", "Beijing", "Asia", "Chinese", "the yuan"],
  ["India", "New Delhi", "Asia", "Hindi and English", "the rupee"],
  ["Thailand", "Bangkok", "Asia", "Thai", "the baht"],
  ["Vietnam", "Hanoi", "Asia", "Vietnamese", "the dong"],
  ["Egypt", "Cairo", "Africa", "Arabic", "the pound"],
  ["Kenya", "Nairobi", "Africa", "Swahili and English", "the shilling"],
  ["Ghana", "Accra", "Africa", "English", "the cedi"],
  ["Morocco", "Rabat", "Africa", "Arabic", "the dirham"],
  ["Brazil", "Brasilia", "South America", "Portuguese", "the real"],
  ["Peru", "Lima", "South America", "Spanish", "the sol"],
  ["Mexico", "Mexico City", "North America", "Spanish", "the peso"],
  ["Canada", "Ottawa", "North America", "English and French", "the dollar"],
];
const science: readonly string[] = [
  "Water [freezes at 0|boils at 100] degrees Celsius[ at sea level|].",
  "The Earth moves around the Sun once a year.",
  "Light travels faster than sound.",
  "Plants use sunlight, water and carbon dioxide to make sugar and oxygen.",
  "The heart pumps blood through the body.",
  "Iron rusts when it is wet.",
  "A magnet attracts iron and steel.",
  "An atom has a nucleus of protons and neutrons.",
  "The Moon causes the tides.",
  "Ice is lighter than water, so it floats.",
  "Sound is a wave that needs air or water to travel.",
  "Copper conducts electricity well, but glass does not.",
  "Jupiter is the largest planet of the solar system.",
  "Bacteria are too small to see without a microscope.",
  "Energy can change its form, but it is never lost.",
  "A triangle has three sides and its angles add up to 180 degrees.",
  "Salt dissolves in water, but sand does not.",
  "The lungs take oxygen from the air.",
  "Mercury is the planet closest to the Sun.",
  "A prism splits white light into colours.",
];
const instruments: readonly (readonly [string, string, string])[] = [
  ["violin", "string", "a bow"],
  ["guitar", "string", "the fingers"],
  ["harp", "string", "the fingers"],
  ["flute", "wind", "the breath"],
  ["trumpet", "brass", "the lips"],
  ["clarinet", "wind", "a reed"],
  ["drum", "percussion", "two sticks"],
  ["piano", "keyboard", "hammers inside"],
  ["cello", "string", "a bow"],
];

const weather: readonly string[] = [
  "The weather in {city} on {weekday}: {sky}, with a high of {4-34} degrees.",
  "[Heavy|Light] rain is expected in {region} [tonight|tomorrow|by {weekday}].",
  "Snow will fall in {region} above {6-20}00 metres.",
  "Winds from the [north|south|east|west] will reach {20-90} kilometres per hour.",
  "{^ region} will stay [dry|cool|mild] until {weekday}.",
  "Temperatures will drop to {1-9} degrees at night.",
  "Drivers should take care, because roads may be [icy|wet|flooded|slippery].",
];

export function weatherNote(grammar: Grammar): string {
  grammar.clear();
  return [weather[0]!, ...grammar.several(weather.slice(1), 2 + grammar.random.integer(3))]
    .map((line) => grammar.say(line))
    .join(" ");
}

export function sportNote(grammar: Grammar): string {
  grammar.clear();
  const scorer = person(grammar, "train", anyGender(grammar));
  grammar.bind(scorer.words);
  const losing = grammar.random.integer(3);
  const winning = losing + 1 + grammar.random.integer(3);
  grammar.bind({ score: `${winning}-${losing}` });
  const lines = [
    "{team#a} beat {team#b} {score} [in the {sport} final|on {weekday}|in front of {12-60},000 fans].",
    "{name} scored [twice|the winning goal|in minute {2-88}], [and {he} was named player of the match|although {he} had been injured].",
    "{team#b} [missed {2-5} chances|lost for the {2-6}th time this season|had only ten players at the end].",
    `"[We played well|The team never gave up|It was a hard game]," said {name}. "[I am proud of us|The fans helped us a lot]."`,
    "{team#a} will meet {team#c} on {month} {1-28}.",
  ];
  return [lines[0]!, ...grammar.random.shuffle(lines.slice(1)).slice(0, 3)].map((line) => grammar.say(line)).join(" ");
}

export function newsNote(grammar: Grammar): string {
  grammar.clear();
  grammar.bind(person(grammar, "train", anyGender(grammar)).words);
  return grammar.say(
    "{city#a}, {month} {1-28} - {^ body#a} [plans to|will|decided on {weekday} to] {plan}. " +
      `[{Mr} {surname}, who speaks for {body#a}, said that {he} [was confident|expected no delay|regretted the noise].|"[It is good news|We had no choice|This will help everyone]," said {name}.] ` +
      "[In {city#a}, {opinion}.|According to a survey, {percent} of people [support|oppose] the idea.] " +
      "[The work will cost {2-80} million [euros|dollars|pounds].|Prices rose by {percent} last year.|A decision is expected in {month}.]",
  );
}

const cooking: readonly string[] = [
  "[Chop|Slice|Dice|Wash and peel] the {vegetable#a} and the {vegetable#b}.",
  "Heat {1-3} tablespoons of {fat#a} in a [large|heavy] pan.",
  "Add the {meat#a} and fry it for {5-15} minutes, until it is [golden|brown].",
  "Stir in the {vegetable#a} and cook [gently|over medium heat] for {4-20} minutes.",
  "Pour in {2-9}00 ml of [water|stock|milk] and bring it to the boil.",
  "Season with {spice}[ and {spice}|].",
  "Cover the pan and simmer for {15-60} minutes.",
  "Serve hot with [rice|bread|noodles|boiled potatoes].",
];
const baking: readonly string[] = [
  "Preheat the oven to {160-220} degrees.",
  "Mix {100-400} g of flour with {50-250} g of sugar and a pinch of salt.",
  "Beat {2-5} eggs with {60-200} g of butter until the mixture is [pale|smooth|creamy].",
  "Fold the flour into the eggs and add [the juice of a lemon|two spoons of cocoa|a little milk|some vanilla].",
  "Pour the batter into a greased tin.",
  "Bake for {20-60} minutes, until the top is [golden|firm|brown].",
  "Let it cool before you [slice|serve|decorate] it.",
];

export function recipe(grammar: Grammar): string {
  grammar.clear();
  const bake = grammar.chance(0.4);
  const title = grammar.say(bake ? "{^ sweet}" : "{^ meat#a} {dish} with {vegetable#a}");
  const steps = (bake ? baking : cooking).filter(() => grammar.chance(0.85)).map((step) => grammar.say(step));
  if (grammar.chance(0.4)) return `${title}\n${steps.map((step, i) => `${i + 1}. ${step}`).join("\n")}`;
  return `${title}. ${grammar.say("Serves {2-8}.")} ${steps.join(" ")}`;
}

export function facts(grammar: Grammar): string {
  const kind = grammar.random.integer(4);
  grammar.clear();
  if (kind === 0) {
    const [animal, family, home, diet, sound] = grammar.one(animals);
    const lines = [
      `{^ a ${animal}} is {a ${family}}[| that lives in ${home}].`,
      `Like every ${family}, it ${covering[family]}.`,
      `It lives in ${home} and eats ${diet}.`,
      sound.startsWith("is") || sound.startsWith("makes")
        ? `The ${animal} ${sound}.`
        : `The ${animal} ${sound} to call others.`,
      `${capitalised(animal)}s can live for {2-60} years.`,
    ];
    const words = Object.fromEntries([animal, family].map((word) => [word, word]));
    grammar.bind(words);
    return lines
      .filter((_, i) => i === 0 || grammar.chance(0.75))
      .map((line) => grammar.say(line))
      .join(" ");
  }
  if (kind === 1) {
    const [country, capital, continent, language, money] = grammar.one(countries);
    const lines = [
      `${capital} is the capital of ${country}.`,
      `${country} is a country in ${continent}.`,
      `People in ${country} speak ${language} and pay with ${money}.`,
      `In {month} the temperature in ${capital} is about {2-35} degrees.`,
      `Q: What is the capital of ${country}? A: ${capital}.`,
      `Q: Which language is spoken in ${country}? A: ${capitalised(language)}.`,
    ];
    return grammar
      .several(lines, 3 + grammar.random.integer(2))
      .map((line) => grammar.say(line))
      .join(" ");
  }
  if (kind === 2)
    return grammar
      .several(science, 3 + grammar.random.integer(3))
      .map((line) => grammar.say(line))
      .join(" ");
  const [instrument, family, player] = grammar.one(instruments);
  grammar.bind(person(grammar, "train", anyGender(grammar)).words);
  return grammar.say(
    `The ${instrument} is a ${family} instrument played with ${player}. {name} plays the ${instrument} in the [city|national|youth] orchestra of {city}. ` +
      `{^ he} [practises {2-6} hours a day|has played since {he} was {4-9}|gave {his} first concert in 19{60-99}]. ` +
      `[The audience clapped for {3-9} minutes.|The critics praised {his} [slow|quick|gentle] playing.|Tickets cost {15-90} euros.]`,
  );
}
