import { BuildError, Code, toBuildError } from '../base/index.ts';

/** errno's in the kernel's own words, which users know, and the code each travels with. */
const ERRNO: Readonly<Record<string, readonly [text: string, code: Code]>> = {
  ENOENT: ['no such file or directory', Code.NotFound],
  ENOTDIR: ['not a directory', Code.InvalidArgument],
  EISDIR: ['is a directory', Code.InvalidArgument],
  EEXIST: ['file exists', Code.AlreadyExists],
  ENOTEMPTY: ['directory not empty', Code.FailedPrecondition],
  ELOOP: ['too many levels of symbolic links', Code.InvalidArgument],
  ENAMETOOLONG: ['file name too long', Code.InvalidArgument],
  EINVAL: ['invalid argument', Code.InvalidArgument],
  EACCES: ['permission denied', Code.PermissionDenied],
  EPERM: ['operation not permitted', Code.PermissionDenied],
  EROFS: ['read-only file system', Code.FailedPrecondition],
  ENOSPC: ['no space left on device', Code.ResourceExhausted],
  EDQUOT: ['disk quota exceeded', Code.ResourceExhausted],
};

/** `verb path: reason`, with `path` as the build knows it instead of where its root is on this machine. */
export function pathError(thrown: unknown, verb: string, path: string): BuildError {
  if (thrown instanceof BuildError) return thrown;
  const known = ERRNO[(thrown as NodeJS.ErrnoException).code ?? ''];
  if (known !== undefined) return new BuildError(known[1], `${verb} ${path}: ${known[0]}`, { cause: thrown });
  const inner = toBuildError(thrown);
  return new BuildError(inner.code, `${verb} ${path}: ${inner.message}`, { cause: thrown });
}
