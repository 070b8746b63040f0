import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** Where other processes come in. It counts them, so that the daemon ends only with the last one. */
export interface Door {
  readonly guests: number;
  /** Lets nobody in any more and waits for those who are inside. */
  close(): Promise<void>;
}

/** Listens at `path` and leads each connection to the socket `target`. Takes the place of a dead socket. */
export async function openDoor(path: string, target: string): Promise<Door> {
  // Whoever opens the door has the root's lock: what lies here is nobody's.
  rmSync(path, { force: true });
  const visits = new Set<Promise<void>>();
  const lead = async (guest: Socket): Promise<void> => {
    guest.on('error', () => {});
    const inside = connect({ path: target, allowHalfOpen: true });
    inside.on('error', () => {});
    try {
      await Promise.all([pipeline(guest, inside), pipeline(inside, guest)]);
    } finally {
      guest.destroy();
      inside.destroy();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (guest) => {
    const visit = lead(guest)
      .catch(() => void guest.destroy())
      .finally(() => visits.delete(visit));
    visits.add(visit);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    get guests() {
      return visits.size;
    },
    close: async () => {
      // Also unlinks the socket, before the guests are gone: later ones start a daemon of their own.
      server.close();
      while (visits.size > 0) await Promise.all(visits);
    },
  };
}
