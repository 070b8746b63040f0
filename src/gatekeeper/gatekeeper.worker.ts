import { serveJobs } from '../base/index.ts';
import { guardJob } from './guard-job.ts';

serveJobs({ guard: guardJob });
