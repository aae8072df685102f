import { accessCases } from './s3-cases/access.ts';
import { conditionCases } from './s3-cases/conditions.ts';
import { integrityCases } from './s3-cases/integrity.ts';
import { multipartCases } from './s3-cases/multipart.ts';
import { objectCases } from './s3-cases/objects.ts';
import { versionCases } from './s3-cases/versions.ts';
import type { S3Case } from './s3-use.ts';

/** What everything that calls itself S3 has to do for us. */
export const s3Cases: readonly S3Case[] = [
  ...objectCases,
  ...conditionCases,
  ...integrityCases,
  ...versionCases,
  ...multipartCases,
  ...accessCases,
];
