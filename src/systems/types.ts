/** Paths inside an image. */
export interface PathRules {
  /** With `/` between names, as LLB has them. */
  toSlash(path: string): string;
  /** With the system's own separator, as configurations of images and processes have them. */
  fromSlash(path: string): string;
  /**
   * With slashes and without the drive that images are on; where a system has drives, cleaned too. `keepSlash`: a last slash
   * stays. Throws for a path that is on no image.
   */
  withoutDrive(path: string, keepSlash: boolean): string;
  /** Throws InvalidArgument for a path, with slashes and without drive, that the system could not make a file of. */
  checkNames(path: string): void;
}

export interface ShellRules {
  /** What a command in shell form is appended to when nothing else is said. */
  readonly command: readonly string[];
  /** A file that begins with `#!` is a program. */
  readonly runsScripts: boolean;
}

export interface EnvironmentRules {
  /** `Path` and `PATH` are two variables. */
  readonly caseSensitive: boolean;
  /** Where a process finds programs when nothing else is said. */
  readonly searchPath: string;
  /** Images get `searchPath` in their configuration: without it their processes find nothing. */
  readonly needsSearchPath: boolean;
}

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

export interface UserRules {
  /** The accounts that every image of the system has; undefined for others. Throws InvalidArgument for what can own no file. */
  find(name: string): Ids | undefined;
  /** Where an image lists its accounts; undefined: nowhere that can be read. */
  readonly database: { readonly users: string; readonly groups: string } | undefined;
}

export interface LayerRules {
  /** A layer that was made on nothing can be put on any other. */
  readonly standAlone: boolean;
}

export interface System {
  readonly paths: PathRules;
  readonly shell: ShellRules;
  readonly environment: EnvironmentRules;
  readonly users: UserRules;
  readonly layers: LayerRules;
}
