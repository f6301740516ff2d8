// A stand-in for a language model, for tests where no real one can be had: answers the two questions of labelling by rules, and writes down what it was sent.
const { appendFileSync } = require("node:fs");
const vscode = require("vscode");

/** By a file that the test writes: "good", "bad" or "slow". */
const behaviour = () => require("node:fs").readFileSync(process.env.SAE_STAND_IN_BEHAVIOUR, "utf8").trim();

/** A good label names the token that carries most of the feature's activation; a bad one says what no passage has. */
function label(question) {
  const [, token] = /Tokens with the largest share of its activation: ("(?:[^"\\]|\\.)*")/.exec(question);
  return behaviour() === "bad" ? "zeppelins over Vladivostok" : `the word: ${JSON.parse(token).trim()}`;
}

/** Finds the label's last word in the passages, as a reader of the label alone would. */
function detection(question) {
  const [, described] = /A feature of a language model is described as: (.*)/.exec(question);
  const word = described.split(" ").at(-1).toLowerCase();
  const passages = [...question.matchAll(/^(\d+)\. (.*)$/gm)];
  const found = passages.filter(([, , text]) => text.toLowerCase().includes(word)).map(([, number]) => Number(number));
  return `The passages are ${JSON.stringify(found)}.`;
}

const cancelled = (token) =>
  new Promise((resolve) => {
    if (token.isCancellationRequested) resolve();
    else token.onCancellationRequested(resolve);
  });

exports.activate = (context) => {
  context.subscriptions.push(
    vscode.lm.registerLanguageModelChatProvider("stand-in", {
      provideLanguageModelChatInformation: () => [
        {
          id: "rules",
          name: "Rules",
          family: "stand-in",
          version: "1",
          maxInputTokens: 100_000,
          maxOutputTokens: 1000,
          capabilities: {},
        },
      ],
      async provideLanguageModelChatResponse(_model, messages, _options, progress, token) {
        const question = messages
          .flatMap(({ content }) => content)
          .map(({ value }) => value)
          .join("");
        appendFileSync(process.env.SAE_STAND_IN_SENT, `${JSON.stringify(question)}\n`);
        if (behaviour() === "slow") return cancelled(token);
        const answer = question.includes("Answer with the numbers") ? detection(question) : label(question);
        progress.report(new vscode.LanguageModelTextPart(answer));
      },
      provideTokenCount: async (_model, text) => (typeof text === "string" ? text.length : 1),
    }),
  );
};
