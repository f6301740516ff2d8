// Invented people: first names by gender, surnames, pronouns. Training and test people share no first name and no surname.
import type { Grammar } from "./grammar.ts";

export type Gender = "female" | "male";
export type Part = "train" | "test";

export interface Person {
  readonly name: string;
  readonly first: string;
  readonly gender: Gender;
  /** Bindings for a grammar, with a suffix for the person: he, him, his, himself, first, name, title, spouse, child, parent. */
  readonly words: Readonly<Record<string, string>>;
}

const firstNames: Record<Part, Record<Gender, readonly string[]>> = {
  train: {
    female: words(
      `Anna Maria Lucy Emma Clara Rosa Helen Alice Grace Julia Nora Ruth Sarah Laura Eva Nina Amira Leila Fatima Aisha Mei Yuki Hana
      Priya Anjali Sofia Elena Ingrid Astrid Freya Camille Chloe Margot Zofia Katya Olga Irina Ngozi Amara Zainab Thandi Carmen Lucia
      Isabel Paula Beatriz Harriet Edith Florence Megan Bridget Siobhan Teresa Martha Judith Diana Susan Linda Karen Monica Daniela
      Valeria Ines Lin Sakura Naomi Esther Miriam Layla Yasmin Kavya Deepa Tara Rachel Rebecca Hannah Abigail Victoria Charlotte Jane`,
    ),
    male: words(
      `John Peter Thomas James Daniel David Michael Robert William Henry George Samuel Paul Mark Simon Adam Omar Hassan Karim Yusuf
      Wei Kenji Hiro Raj Arjun Vikram Marco Luca Lars Erik Bjorn Pierre Louis Antoine Tomasz Ivan Boris Dmitri Chidi Kwame Sipho
      Carlos Diego Miguel Pablo Rafael Edward Arthur Albert Frank Walter Patrick Brian Kevin Sean Liam Oscar Hugo Felix Martin Stefan
      Anton Victor Mario Jun Takashi Isaac Joseph Ibrahim Ali Rohan Anil Sanjay Benjamin Jacob Matthew Andrew Stephen Richard Charles Fred`,
    ),
  },
  test: {
    female: words(
      "Agnes Bianca Celia Dora Elif Gabriela Heidi Joanna Keiko Lena Meera Nadia Odette Petra Renata Selma Tamara Uma Vera Wanda",
    ),
    male: words(
      "Alan Bruno Cesar Dennis Emil Gustav Hamid Jonas Kofi Leon Manuel Nikolai Otto Philip Rodrigo Sven Tariq Umar Vincent Wayne",
    ),
  },
};

const surnames: Record<Part, readonly string[]> = {
  train: words(
    `Smith Brown Taylor Walker Hill Green Baker Carter Cooper Fisher Hunter Miller Turner Ward Wood Young Adams Bennett Clarke Dixon
    Evans Foster Graham Hughes Jackson Kelly Lewis Murphy Nelson Owens Palmer Quinn Reed Shaw Stone Webb Garcia Lopez Torres Silva
    Costa Rossi Moretti Weber Fischer Schmidt Novak Kowalski Petrov Ivanov Larsen Hansen Berg Lind Dubois Moreau Laurent Okafor
    Mensah Diallo Ndlovu Khan Ahmed Rahman Patel Sharma Gupta Chen Wang Liu Tanaka Suzuki Kim Park Nguyen Tran Cohen Levy Haddad`,
  ),
  test: words(
    "Abbott Barnes Castillo Doyle Eriksson Ferrari Gomez Horvath Iqbal Jansen Keller Lambert Mbeki Nair Osborne Popescu Rao Sato Tembo Ueda Vega Wolff Yilmaz Zhang",
  ),
};

function words(list: string): readonly string[] {
  return list.split(/\s+/);
}

/** A person; `key` is the suffix of the bindings ("" for the only person of a text). */
export function person(grammar: Grammar, part: Part, gender: Gender, key = "", taken: readonly string[] = []): Person {
  const free = firstNames[part][gender].filter((name) => !taken.includes(name));
  const first = grammar.one(free);
  const surname = grammar.one(surnames[part]);
  const female = gender === "female";
  const entries = {
    first,
    surname,
    name: `${first} ${surname}`,
    he: female ? "she" : "he",
    him: female ? "her" : "him",
    his: female ? "her" : "his",
    himself: female ? "herself" : "himself",
    man: female ? "woman" : "man",
    boy: female ? "girl" : "boy",
    son: female ? "daughter" : "son",
    father: female ? "mother" : "father",
    brother: female ? "sister" : "brother",
    uncle: female ? "aunt" : "uncle",
    Mr: female ? "Ms." : "Mr.",
  };
  return {
    name: entries.name,
    first,
    gender,
    words: Object.fromEntries(Object.entries(entries).map(([word, value]) => [word + key, value])),
  };
}

export function anyGender(grammar: Grammar): Gender {
  return grammar.chance(0.5) ? "female" : "male";
}
