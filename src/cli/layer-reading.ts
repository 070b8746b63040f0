/** What reads layers. Nobody but check-layer does that here: the client starts without it. */
export { decompress } from '../archive/index.ts';
export { checkWindowsLayer } from '../archive/windows/index.ts';
