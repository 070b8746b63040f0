import { serveJobs } from '../../base/index.ts';
import { act, copyOne, findCandidates, prepareUnpack } from './action-job.ts';
import { place } from './place-job.ts';

serveJobs({ act, copyOne, candidates: findCandidates, prepareUnpack, place });
