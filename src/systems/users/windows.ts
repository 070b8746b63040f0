import type { UserRules } from '../types.ts';
import { accountOfName } from './windows-accounts.ts';

/** Other accounts are in the hive SAM, whose format nobody has written down. */
export const windowsUsers: UserRules = {
  find(name) {
    const account = accountOfName(name);
    return account === undefined ? undefined : { uid: account.id, gid: account.id };
  },
  database: undefined,
};
