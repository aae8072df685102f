import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../shared/errors.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import type { NodeApi } from './api.ts';
import { askIntroduction } from './parent-services.ts';

const RETRY_MS = { first: 100, last: 5_000 };
/** Later configurations are asked for this often. */
const AGAIN_MS = 60_000;

/**
 * Has the parent tell the node its network, at first and then its later configurations. What it says is signed by others
 * or opens nothing; without it an operator can still tell the node directly (`kms node join`).
 */
export async function keepIntroduced(node: NodeApi, link: Link<Duplex>, log: Log): Promise<never> {
  let retryMs = RETRY_MS.first;
  let reported = '';
  for (;;) {
    let waitMs = AGAIN_MS;
    try {
      await node.join(await askIntroduction(link));
      retryMs = RETRY_MS.first;
      reported = '';
    } catch (error) {
      const code = codeOf(error);
      // A parent that knows no network yet is no news.
      if (code !== reported && code !== 'UNAVAILABLE') log('warn', 'not-introduced', { code });
      reported = code;
      waitMs = retryMs;
      retryMs = Math.min(2 * retryMs, RETRY_MS.last);
    }
    await sleep(waitMs, undefined, { ref: false });
  }
}
