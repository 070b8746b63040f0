/** Reads what `buildctl build --progress plain` says. */

export interface Step {
  readonly name: string;
  /** Told last: a step that was looked up first and then run is not. */
  cached: boolean;
  /** What the step's process wrote, without times. */
  log: string;
}

/** The steps by their names, without the counters: `[build 2/4] RUN make` is `RUN make`. */
export function readSteps(progress: string): Map<string, Step> {
  const byNumber = new Map<string, Step>();
  for (const line of progress.split('\n')) {
    const [, number, text] = /^#(\d+) (.*)$/.exec(line) ?? [];
    if (number === undefined || text === '...') continue;
    const step = byNumber.get(number);
    if (step === undefined) {
      byNumber.set(number, { name: text.replace(/^\[[^\]]*\d+\/\d+\] /, ''), cached: false, log: '' });
    } else if (text === 'CACHED') step.cached = true;
    else if (/^DONE \d/.test(text)) step.cached = false;
    else step.log += `${text.replace(/^\d+\.\d+ /, '')}\n`;
  }
  return new Map([...byNumber.values()].map((step) => [step.name, step]));
}

/** Names of the steps that begin with one of the instructions and were (not) taken from the cache. */
export function stepsThat(progress: string, how: 'ran' | 'cached'): string[] {
  return [...readSteps(progress).values()]
    .filter(({ name, cached }) => /^(RUN|COPY|ADD|WORKDIR) /.test(name) && cached === (how === 'cached'))
    .map(({ name }) => name)
    .toSorted();
}
