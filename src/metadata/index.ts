/**
 * The daemon's one SQLite database. In: a path, and the tables of each folder as numbered steps of SQL. Out: prepared
 * statements, transactions, a file that shrinks. Deliberately absent: what the tables mean; the folder that registers
 * them owns them, and keeps what it reads often in memory (calls here are synchronous).
 */
export { openDatabase } from './database.ts';
export type { Database, DatabaseOptions, Row, SqlValue } from './database.ts';
