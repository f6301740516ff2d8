// Questions in turn: answered, left, and gone back from, in a list of questions within another as well.
import assert from "node:assert/strict";
import { test } from "node:test";
import { GoBack, inTurn } from "../../../src/extension/commands/inTurn.ts";

const back = Symbol("back");

/** Questions that are answered from a list, in the order in which they are asked; and which were asked. */
function answers(...given: (string | undefined | typeof back)[]) {
  const asked: string[] = [];
  const question = (name: string) => async () => {
    asked.push(name);
    const answer = given.shift();
    if (answer === back) throw new GoBack();
    return answer as string | undefined;
  };
  return { asked, question };
}

test("each is asked once, until one is left", async () => {
  const { asked, question } = answers("1", undefined);
  assert.equal(await inTurn(question("a"), question("b"), question("c")), false);
  assert.deepEqual(asked, ["a", "b"]);
});

test("going back asks the one before, from the first of an inner list the one before that list", async () => {
  const { asked, question } = answers("1", back, "2", "3", back, back, "4", "5", "6", "7");
  const inner = async () => (await inTurn(question("b"), question("c"))) || undefined;
  assert.equal(await inTurn(question("a"), inner, question("d")), true);
  assert.deepEqual(asked, ["a", "b", "a", "b", "c", "b", "a", "b", "c", "d"]);
});

test("what fails is no way back, and the first question has none", async () => {
  const fails = async () => {
    throw new Error("no model");
  };
  await assert.rejects(inTurn(answers("1").question("a"), fails), /no model/);
  await assert.rejects(inTurn(answers(back).question("a")), GoBack);
});
