import type { StatusResponse } from '../../proto/control.pb.ts';

/** Something that shows a build's progress. `refresh` is called now and then and after some updates, `done` once. */
export interface Display {
  update(status: StatusResponse): void;
  refresh(): void;
  done(): void;
}
