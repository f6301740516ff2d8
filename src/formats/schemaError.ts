// What a schema finds wrong with a value that came from outside, as an InputError: the field, what stands there, and what should, in words.
import type { z } from "zod";
import { brief, cutShort } from "./brief.ts";
import { InputError } from "./inputError.ts";

/** The first thing that is wrong. `whole`: what the value as a whole should be, "an activation store's manifest". */
export function schemaError(file: string, value: unknown, error: z.ZodError, whole: string): InputError {
  const issue = innermost(error.issues[0]!);
  // A key too many is in the value, and is what should be named.
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
  const found = shown(path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null)?.[key], value));
  if (path.length === 0) return new InputError({ file, found, expected: whole });
  return new InputError({ file, where: path.join("."), found, expected: `${expectation(issue)} (${whole})` });
}

/** A value of somebody's JSON, as it stands there and short enough for one line. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value) && value.length === 0) return "an empty list";
  return typeof value === "string" ? cutShort(JSON.stringify(value)) : brief(value);
}

const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a string",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** What a schema wants, in words. */
export function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPES[issue.expected] ?? issue.expected;
    case "invalid_value":
      return oneOf(issue.values);
    case "invalid_union":
      // Where no alternative has the value's discriminator, none was tried.
      if ("options" in issue && issue.options) return oneOf(issue.options);
      if (hasOwnWords(issue)) return issue.message;
      return [...new Set(issue.errors.map(([first]) => expectation(first!)))].join(" or ");
    case "too_small":
      if (issue.origin === "string") return `at least ${issue.minimum === 1 ? "one character" : issue.minimum}`;
      return issue.origin === "array"
        ? "at least one entry"
        : `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_format":
      return issue.pattern && !hasOwnWords(issue) ? `text of the form ${issue.pattern}` : issue.message;
    case "unrecognized_keys":
      return `no key ${issue.keys.join(", ")}`;
    default:
      return issue.message;
  }
}

/** Whether the schema says itself what it wants; zod's messages say what is invalid. */
function hasOwnWords({ message }: z.core.$ZodIssue): boolean {
  return !message.startsWith("Invalid");
}

function oneOf(values: readonly unknown[]): string {
  return `${values.length > 1 ? "one of " : ""}${values.map((value) => JSON.stringify(value)).join(", ")}`;
}

/** Of a union, what is wrong inside of the alternative that the value was meant as, where one goes deeper than its type. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const inner = issue.errors.map(([first]) => first!).find(({ path }) => path.length > 0);
  return inner ? innermost({ ...inner, path: [...issue.path, ...inner.path] }) : issue;
}
