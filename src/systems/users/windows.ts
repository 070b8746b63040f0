import { invalidArgument } from '../../base/index.ts';
import type { UserRules } from '../types.ts';
import { accountOfName } from './windows-accounts.ts';

const SID = /^s-1(?:-\d+)+$/i;

/** Other accounts are in the hive SAM, whose format nobody has written down. */
export const windowsUsers: UserRules = {
  find(name) {
    const account = accountOfName(name);
    // A name may be one of the image; a SID that is none of the table is known to be lost.
    if (account === undefined && SID.test(name))
      throw invalidArgument(
        `invalid user ${JSON.stringify(name)}: only accounts that every Windows has can be given by SID`,
      );
    return account === undefined ? undefined : { uid: account.id, gid: account.id };
  },
  database: undefined,
};
