// Numbers in options of the command line.
import { InvalidArgumentError } from "commander";

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

/** From 1 to 1,000. */
export function pageSize(text: string): number {
  const value = wholeNumber(text);
  if (value < 1 || value > 1000) throw new InvalidArgumentError("Expected a number from 1 to 1000.");
  return value;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(text.trim() !== "" && Number.isFinite(value) && value >= 0))
    throw new InvalidArgumentError("Expected a number of at least 0.");
  return value;
}
