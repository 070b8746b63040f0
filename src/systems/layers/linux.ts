import type { LayerRules } from '../types.ts';

export const linuxLayers: LayerRules = { standAlone: true };
