// Work that is done one piece after the other, in the order in which it is asked for. A failure is its asker's; what comes behind goes on.

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Once all is done that has been asked for so far. */
  async over(): Promise<void> {
    await this.#last;
  }
}
