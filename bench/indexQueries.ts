// Times every kind of question to a feature index, in a fixed mix drawn with a seed, and gives the percentiles.
import { SeededRandom } from "../src/data/seededRandom.ts";
import type { FeatureIndex } from "../src/features/featureIndex.ts";
import { openFeatureIndex } from "../src/features/openFeatureIndex.ts";

export interface QueryTimes {
  readonly kind: string;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  /** 95th percentile of the thread's processor time, which other programs on the machine do not inflate as they do the clock's. */
  readonly cpuP95: number;
}

/** Opens the index anew (the first time, `open`, is among the kinds) and asks `rounds` questions of each kind, kinds interleaved. `words` from frequent to rare. */
export function timeIndexQueries(path: string, words: readonly string[], rounds: number): QueryTimes[] {
  const random = SeededRandom.derive(1, "queries");
  const times = new Map<string, { wall: number; cpu: number }[]>();
  const time = <T>(kind: string, ask: () => T): T => {
    const before = process.threadCpuUsage();
    const start = performance.now();
    const answer = ask();
    const wall = performance.now() - start;
    const { user, system } = process.threadCpuUsage(before);
    times.set(kind, [...(times.get(kind) ?? []), { wall, cpu: (user + system) / 1000 }]);
    return answer;
  };
  let index: FeatureIndex | undefined;
  for (let round = 0; round < 5; round++) {
    index?.close();
    index = time("open and first page", () => {
      const opened = openFeatureIndex(path);
      opened.page({ sort: "clarity", descending: true });
      return opened;
    });
  }
  const open = index!;
  const { features, members, tokens } = open.info;
  const labelled = new Map<number, { flagged: boolean; label: string }>();
  while (labelled.size < 2000) {
    labelled.set(random.integer(features), { flagged: random.uniform() < 0.5, label: word() + word() });
  }
  open.setAnnotations(labelled);
  /** Frequent and rare alike. */
  function word(): string {
    return words[1 + Math.floor((words.length - 1) * random.uniform() ** 4)]!;
  }
  const sorts = ["id", "density", "max", "mean", "found", "label", "clarity"] as const;
  for (let round = 0; round < rounds; round++) {
    const sort = sorts[random.integer(sorts.length)]!;
    const offset = random.integer(features);
    time("page", () => open.page({ sort, descending: round % 2 === 0, offset }));
    time("clearest first", () => open.page({ sort: "clarity", descending: true, filter: { alive: true } }));
    const filter = {
      member: random.integer(members.length),
      alive: true,
      minFound: 1 + random.integer(4),
      minDensity: (10 * random.uniform()) / tokens,
    };
    time("filter", () => open.page({ sort, filter, offset: random.integer(100) }));
    time("flagged", () => open.page({ filter: { flagged: true }, sort, flaggedFirst: true }));
    time("token", () =>
      open.page({ filter: { token: { text: word(), match: "word" } }, sort: "relevance", descending: true }),
    );
    time("text, one word", () => open.page({ filter: { text: `${word().trim()} ` }, sort: "density" }));
    time("text, begun word", () => open.page({ filter: { text: word().trim().slice(0, 3) }, sort: "density" }));
    time("text, phrase", () => open.page({ filter: { text: word() + word() }, sort: "density" }));
    time("pattern", () =>
      open.page({
        filter: { tokenPattern: `^ ?${word().trim().slice(0, 2)}.*a$` },
        sort: "relevance",
        descending: true,
      }),
    );
    time("label", () => open.page({ filter: { label: word().trim() } }));
    time("text, token, member", () =>
      open.page({ filter: { text: word(), token: { text: word(), match: "word" }, member: 1 }, sort: "max" }),
    );
    time("detail", () => open.detail(random.integer(features)));
  }
  open.close();
  return [...times].map(([kind, list]) => {
    const wall = list.map((one) => one.wall).sort((a, b) => a - b);
    const cpu = list.map((one) => one.cpu).sort((a, b) => a - b);
    const at = (sorted: number[], share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
    return { kind, p50: at(wall, 0.5), p95: at(wall, 0.95), max: wall.at(-1)!, cpuP95: at(cpu, 0.95) };
  });
}
