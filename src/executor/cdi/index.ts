/**
 * Devices of the host for builds (Container Device Interface): in come folders of files, out go names and what a container
 * gets with them. Deliberately absent: who may have which (build/), and making of devices on demand.
 */
export { DeviceRegistry } from './device-registry.ts';
export type { Device, DeviceRequest } from './device-registry.ts';
export type { ContainerEdits } from './device-file.ts';
