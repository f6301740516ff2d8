// Regular expressions over token texts with a bound on time: a person's pattern may backtrack for ever.
import { createContext, Script } from "node:vm";
import { QueryError } from "./featureIndex.ts";

const milliseconds = 250;
// Runs in a context of its own only because that is where V8 offers a time-out; the pattern is data, nothing in it is executed.
const script = new Script("matches(expression, texts)");

function matches(expression: RegExp, texts: readonly string[]): number[] {
  const found: number[] = [];
  for (let i = 0; i < texts.length; i++) if (expression.test(texts[i]!)) found.push(i);
  return found;
}

/** Positions of the texts that match (flags "iu"). Throws QueryError where the pattern does not compile or takes too long. */
export function matchingTexts(pattern: string, texts: readonly string[]): number[] {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern, "iu");
  } catch (error) {
    throw new QueryError((error as Error).message);
  }
  try {
    return script.runInContext(createContext({ matches, texts, expression }), { timeout: milliseconds });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new QueryError(`/${pattern}/ took longer than ${milliseconds} ms; make it simpler`);
  }
}
