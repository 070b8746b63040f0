import { serveJobs } from '../base/index.ts';
import { receiveJob } from './receive-job.ts';
import { sendJob } from './send-job.ts';

serveJobs({ send: sendJob, receive: receiveJob });
