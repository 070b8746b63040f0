import { invalidArgument } from './errors.ts';

function fail(column: number, why: string): Error {
  // Go's wording (encoding/csv)
  return invalidArgument(`parse error on line 1, column ${column}: ${why}`);
}

/** The fields of one line of comma-separated values; a field in quotes may hold commas, and quotes when doubled. */
export function csvFields(line: string): string[] {
  const fields: string[] = [];
  if (line === '') return fields;
  for (let at = 0; ;) {
    if (line.charAt(at) === '"') {
      let field = '';
      for (at++; ;) {
        const quote = line.indexOf('"', at);
        if (quote < 0) throw fail(line.length + 1, 'extraneous or missing " in quoted-field');
        field += line.slice(at, quote);
        at = quote + 1;
        if (line.charAt(at) !== '"') break;
        field += '"';
        at++;
      }
      if (at < line.length && line.charAt(at) !== ',') throw fail(at, 'extraneous or missing " in quoted-field');
      fields.push(field);
    } else {
      const comma = line.indexOf(',', at);
      const end = comma < 0 ? line.length : comma;
      const field = line.slice(at, end);
      const quote = field.indexOf('"');
      if (quote >= 0) throw fail(at + quote + 1, 'bare " in non-quoted field');
      fields.push(field);
      at = end;
    }
    if (at >= line.length) return fields;
    at++; // the comma
  }
}
