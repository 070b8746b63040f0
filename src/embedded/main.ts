/** The program buildctl. A daemon is started only when a build finds none and was given no address. */
import { runMain } from '../cli/index.ts';

void runMain({
  embed: async (signal) => {
    const { openEmbedded } = await import('./index.ts');
    return openEmbedded(signal);
  },
});
