import type { UserRules } from '../types.ts';

export const linuxUsers: UserRules = {
  find: () => undefined,
  database: { users: '/etc/passwd', groups: '/etc/group' },
};
