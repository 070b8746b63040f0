import type { LayerRules } from '../types.ts';

/** A layer is the difference to its parent, whose security and case of names it goes by. */
export const windowsLayers: LayerRules = { standAlone: false };
