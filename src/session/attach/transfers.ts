/** What moves directories, and nothing else of files/: loaded when it is needed, it brings no archive formats with it. */
export { receiveTree, sendTree } from '../../files/index.ts';
