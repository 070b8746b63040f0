/** Mode strings as chmod(1) takes them: octal, or clauses like `u+rw,go=u-w`, applied without a umask. */
import { invalidArgument } from '../../base/index.ts';

/** Unix mode bits to unix mode bits. */
export type ModeChange = (mode: number, isDir: boolean) => number;

const ALL = 0o6777;
const WHO: Readonly<Record<string, number>> = { a: ALL, u: 0o4700, g: 0o2070, o: 0o0007 };
const PERMS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };
const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

function syntax(): Error {
  return invalidArgument('invalid syntax');
}

/** One step of a change; `hasX`: what was before the first step may be executed or entered. */
type Step = (mode: number, hasX: boolean) => number;

function setBits(op: string, who: number, bits: number): Step {
  const value = who === 0 ? bits : bits & who;
  if (op === '-') return (mode) => mode & ~value;
  if (op === '+') return (mode) => mode | value;
  // The sticky bit goes only where it is named.
  const cleared = who === 0 ? ALL : who;
  return (mode) => (mode & ~cleared) | value;
}

/** The permissions of one class for others; set-id bits stay. */
function copyBits(op: string, who: number, from: number): Step {
  const classes =
    who === 0 ? 0o777 : ((who & 0o700) === 0 ? 0 : 0o700) | ((who & 0o070) === 0 ? 0 : 0o070) | (who & 0o007);
  return (mode) => {
    const value = (((mode >> from) & 7) * 0o111) & classes;
    if (op === '-') return mode & ~value;
    return op === '+' ? mode | value : (mode & ~classes) | value;
  };
}

/** One operator with its letters, for the classes of `named`, in the order of setmode(3). */
function parseAction(op: string, letters: string, named: number): Step[] {
  const onlyOther = named !== 0 && (named & ~0o007) === 0;
  const steps: Step[] = [];
  let who = named;
  let bits = 0;
  let conditional = false;
  let assigned = false;
  const addConditional = (): void => {
    if (!conditional) return;
    const value = who === 0 ? 0o111 : 0o111 & who;
    steps.push((mode, hasX) => (hasX ? mode | value : mode));
    conditional = false;
  };
  for (const letter of letters) {
    if (letter in SHIFT) {
      if (bits !== 0) steps.push(setBits(op, who, bits));
      bits = 0;
      assigned = true;
      addConditional();
      steps.push(copyBits(op, who, SHIFT[letter] as number));
    } else if (letter === 'X') {
      if (op === '-') bits |= 0o111;
      else conditional = true;
    } else if (!onlyOther || (letter !== 's' && letter !== 't')) {
      bits |= PERMS[letter] as number;
      if (letter === 't') who |= 0o1000;
    }
  }
  if (bits !== 0 || (op === '=' && !assigned)) steps.push(setBits(op, who, bits));
  addConditional();
  return steps;
}

/** Throws InvalidArgument "invalid syntax". */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-9]/.test(text)) {
    if (!/^0*[0-7]{1,4}$/.test(text)) throw syntax();
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const steps: Step[] = [];
  for (const clause of text.split(',')) {
    const parts = /^([augo]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
    if (parts === null) throw syntax();
    const who = Array.from(parts[1] as string).reduce((bits, letter) => bits | (WHO[letter] as number), 0);
    for (const [, op, letters] of (parts[2] as string).matchAll(/([-+=])([rwxXstugo]*)/g)) {
      steps.push(...parseAction(op as string, letters as string, who));
    }
  }
  return (mode, isDir) => {
    // `X` looks at what was before the first clause.
    const hasX = isDir || (mode & 0o111) !== 0;
    return steps.reduce((current, step) => step(current, hasX), mode);
  };
}
