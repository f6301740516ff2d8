// A line of progress that is written over while something goes on; nothing where standard error is no terminal.
import { integer } from "./words.ts";

export function progressLine(): {
  onProgress: (stage: string, done: number, total: number, unit: string) => void;
  end: () => void;
} {
  const shown = process.stderr.isTTY === true;
  return {
    onProgress: (stage, done, total, unit) => {
      if (shown) process.stderr.write(`\r\x1b[K${stage}: ${integer(done)} of ${integer(total)} ${unit}`);
    },
    end: () => {
      if (shown) process.stderr.write("\r\x1b[K");
    },
  };
}
