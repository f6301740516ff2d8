// The sentence templates of the biographies: those of the model's own corpus, and those of the labelled data's two parts.
import type { Part } from "./people.ts";

export interface BiographyTemplates {
  readonly opening: readonly string[];
  readonly work: readonly string[];
  readonly past: readonly string[];
  readonly person: readonly string[];
  readonly home: readonly string[];
}

/** What the language model is trained on. */
export const corpusTemplates: BiographyTemplates = {
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
};

/**
 * The labelled biographies: no template stands in both parts, but the test part says much the same in another order, so
 * that a probe that reads the person carries over and one that reads the sentence does not.
 */
export const labelledTemplates: Readonly<Record<Part, BiographyTemplates>> = {
  train: {
    opening: [
      ...corpusTemplates.opening,
      "{name} has worked at {place} since {year}.",
      "{name} has been at {place} in {town} for {5-30} years.",
      "{name} moved to {town} after a degree in {study}.",
      "At {place} in {town}, everybody knows {name}.",
      "In {year}, {name} came to {town} to study {study}.",
      "{name} left {town} for {place} in {year}.",
    ],
    work: [
      ...corpusTemplates.work,
      "In the mornings {he} {doing}.",
      "{^ he} {doing}, and in the evening {he} {doing2}.",
      "{^ he} loves {subject}.",
      "With {tool}, {he} {doing}.",
      "{first} is known for {subject}.",
      "{^ he} {doing}, as {he} has done since {year}.",
      "{^ his} work is about {subject} and {subject2}.",
      "{first} {doing} when {his} day begins.",
    ],
    past: [
      ...corpusTemplates.past,
      "{^ he} {did} in {year}.",
      "{first} {did} when {he} was {25-45}.",
      "{^ he} {did} before {he} came to {town}.",
      "Some years ago {he} {did}.",
    ],
    person: [
      ...corpusTemplates.person,
      "{first} is known for {his} {trait}.",
      "{^ he} says that {he} needs {hobby} and little else.",
      "{^ his} friends know {him} for {his} {trait}.",
      "{^ he} enjoys {hobby} when {he} is at home.",
    ],
    home: [
      ...corpusTemplates.home,
      "{^ he} has [two|three] children and lives in {town}.",
      "{^ he} shares {his} home with {kin}.",
      "{first} lives near {town} with {kin}.",
      "With {kin}, {he} lives in {town}.",
    ],
  },
  test: {
    opening: [
      "In {town}, {name} works at {place}.",
      "{name} studied {study} in {town}, where {he} was born.",
      "{name} has worked in {town} since {year}, at {place}.",
      "{name} came to {town} in {year} after a degree in {study}.",
      "For {5-30} years {name} has been at {place} in {town}.",
      "{name}, who grew up in {town}, studied {study}.",
      "Everybody at {place} knows {name}.",
      "{Mr} {first} {surname} moved to {town} in {year}.",
      "{name} left {town} when {he} was young and studied {study}.",
      "{name} is from {town} and has a degree in {study}.",
    ],
    work: [
      "{^ he} {doing} every day.",
      "{^ he} {doing}, and then {he} {doing2}.",
      "{^ subject} is {his} main interest.",
      "{first} {doing}, never without {tool}.",
      "In {his} work {he} {doing}.",
      "{first} speaks often about {subject} and {subject2}.",
      "Most days {he} {doing}, and on others {he} {doing2}.",
      "Colleagues say that {he} {doing} with {trait}.",
      "The best part of {his} job is that {he} {doing}.",
      "{first} has a special interest in {subject}.",
      "{^ he} {doing} these days.",
      "Since {year} {he} {doing} at work.",
    ],
    past: [
      "{^ he} {did} earlier in {his} career.",
      "Two years later, with {his} colleagues, {he} {did}.",
      "In {town} {he} {did}.",
      "{^ he} {did} some years ago.",
      "In {year}, {first} {did}.",
    ],
    person: [
      "{^ his} colleagues praise {him} for {his} {trait}.",
      "{first} likes {hobby}.",
      "{^ he} enjoys {hobby} in {his} free time.",
      "{^ his} {trait} comes from {his} [father|mother|grandmother|grandfather].",
      "{^ he} loves {hobby} when {he} is not at work.",
      "{^ he} taught {himself} [Italian|Russian|Turkish|Greek].",
    ],
    home: [
      "{^ he} lives with {kin} in {town}.",
      "Near {town} {he} lives with {his} [husband|wife|partner].",
      "In the evenings {he} is at home with {kin}.",
      "{^ he} is the {father} of [two|three|four] and lives in {town}.",
      "{^ his} [son|daughter|brother|sister] lives near {him} in {town}.",
      "{first} is at home in {town} with {kin}.",
    ],
  },
};
