// Short texts in French, German and Spanish: simple sentences, agreement kept by writing each noun with its article.
import { capitalised, type Grammar, type Lexicon } from "./grammar.ts";

interface Language {
  readonly words: Lexicon;
  readonly sentences: readonly string[];
}

const french: Language = {
  words: {
    who: [
      "mon frère",
      "ma sœur",
      "le voisin",
      "la voisine",
      "mon père",
      "ma mère",
      "notre ami",
      "la vieille dame",
      "le boulanger",
      "Pierre",
      "Camille",
      "un enfant",
    ],
    thing: [
      "un livre",
      "une lettre",
      "le journal",
      "une pomme",
      "du pain",
      "un gâteau",
      "la clé",
      "une chaise",
      "des fleurs",
      "un vélo",
    ],
    where: [
      "à la maison",
      "au marché",
      "dans le jardin",
      "à la gare",
      "au bord de la mer",
      "à l'école",
      "dans la cuisine",
      "à Paris",
      "chez nous",
    ],
    when: ["ce matin", "hier", "aujourd'hui", "le soir", "tous les jours", "en été", "en hiver", "à {2-11} heures"],
    verb: ["cherche", "trouve", "achète", "donne", "prend", "apporte", "oublie", "regarde"],
    mood: ["content", "fatigué", "malade", "en retard", "très gentil"],
  },
  sentences: [
    "{^ who} {verb} {thing} {where}.",
    "{^ when}, {who} {verb} {thing}.",
    "Il fait [beau|froid|chaud|gris] {where}.",
    "Je suis {mood} parce que je n'ai pas [dormi|mangé|fini mon travail].",
    "Nous allons {where} avec {who}.",
    "Où est {who}? Il y a {thing} sur la table.",
    "Est-ce que tu veux {thing}?",
    "Je ne sais pas où {who} habite.",
    "Elle a {2-90} ans et elle aime beaucoup {thing}.",
    "Merci beaucoup, c'est très bon.",
    "Bonjour, je voudrais {thing}, s'il vous plaît.",
  ],
};

const german: Language = {
  words: {
    who: [
      "mein Bruder",
      "meine Schwester",
      "der Nachbar",
      "die Nachbarin",
      "mein Vater",
      "meine Mutter",
      "unser Freund",
      "die alte Frau",
      "der Bäcker",
      "Hans",
      "Ingrid",
      "das Kind",
    ],
    thing: [
      "ein Buch",
      "einen Brief",
      "die Zeitung",
      "einen Apfel",
      "das Brot",
      "einen Kuchen",
      "den Schlüssel",
      "einen Stuhl",
      "Blumen",
      "ein Fahrrad",
    ],
    where: [
      "zu Hause",
      "auf dem Markt",
      "im Garten",
      "am Bahnhof",
      "am Meer",
      "in der Schule",
      "in der Küche",
      "in Berlin",
      "bei uns",
    ],
    when: ["heute", "gestern", "am Morgen", "am Abend", "jeden Tag", "im Sommer", "im Winter", "um {2-11} Uhr"],
    verb: ["sucht", "findet", "kauft", "bringt", "nimmt", "vergisst", "sieht", "braucht"],
    mood: ["froh", "müde", "krank", "zu spät", "sehr nett"],
  },
  sentences: [
    "{^ who} {verb} {thing} {where}.",
    "{^ when} {verb} {who} {thing}.",
    "Das Wetter ist heute [schön|kalt|warm|grau].",
    "Ich bin {mood}, weil ich nicht [geschlafen|gegessen|gearbeitet] habe.",
    "Wir gehen heute mit der Familie spazieren und sind {where}.",
    "Wo ist {who}? Auf dem Tisch liegt nichts.",
    "Möchtest du {thing}?",
    "Ich weiß nicht, wo {who} wohnt.",
    "Sie ist {2-90} Jahre alt und kauft gern {thing}.",
    "Vielen Dank, das ist sehr gut.",
    "Guten Tag, ich hätte gern {thing}, bitte.",
  ],
};

const spanish: Language = {
  words: {
    who: [
      "mi hermano",
      "mi hermana",
      "el vecino",
      "la vecina",
      "mi padre",
      "mi madre",
      "nuestro amigo",
      "la anciana",
      "el panadero",
      "Diego",
      "Carmen",
      "un niño",
    ],
    thing: [
      "un libro",
      "una carta",
      "el periódico",
      "una manzana",
      "el pan",
      "un pastel",
      "la llave",
      "una silla",
      "flores",
      "una bicicleta",
    ],
    where: [
      "en casa",
      "en el mercado",
      "en el jardín",
      "en la estación",
      "junto al mar",
      "en la escuela",
      "en la cocina",
      "en Madrid",
      "con nosotros",
    ],
    when: [
      "hoy",
      "ayer",
      "por la mañana",
      "por la noche",
      "todos los días",
      "en verano",
      "en invierno",
      "a las {2-11}",
    ],
    verb: ["busca", "encuentra", "compra", "trae", "toma", "olvida", "mira", "necesita"],
    mood: ["contento", "cansado", "enfermo", "muy ocupado", "listo"],
  },
  sentences: [
    "{^ who} {verb} {thing} {where}.",
    "{^ when}, {who} {verb} {thing}.",
    "Hace [calor|frío|sol|viento] {where}.",
    "Estoy {mood} porque no he [dormido|comido|terminado el trabajo].",
    "Vamos a pasar el día {where} con {who}.",
    "¿Dónde está {who}? Hay {thing} sobre la mesa.",
    "¿Quieres {thing}?",
    "No sé dónde vive {who}.",
    "Ella tiene {2-90} años y le gusta mucho {thing}.",
    "Muchas gracias, está muy bueno.",
    "Buenos días, quiero {thing}, por favor.",
  ],
};

export const foreignLanguages = { french, german, spanish } as const;

/** Three to six sentences of one language; expands through a grammar that has that language's words. */
export function foreignText(grammar: Grammar, language: Language): string {
  grammar.clear();
  return grammar
    .several(language.sentences, 3 + grammar.random.integer(4))
    .map((sentence) => capitalised(grammar.say(sentence)))
    .join(" ");
}
