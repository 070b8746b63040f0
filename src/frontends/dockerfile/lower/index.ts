/** Instructions in, LLB and an image's configuration out. Deliberately absent: solving, results for several platforms. */
export { convert, definitionOf, outline } from './convert.ts';
export type { Converted, ConvertRequest } from './convert.ts';
export { imageJson } from './image.ts';
export type { Outline, OutlineArg, OutlineMount } from './outline.ts';
