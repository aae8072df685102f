import type { Nsm } from '../nsm/nsm.ts';

/** What a build takes from the machine below it. `#platform` names the implementation: nitro.ts or mock.ts. */
export interface Platform {
  readonly name: 'nitro' | 'mock';
  readonly nsm: Nsm;
}

/** @throws {KmsError} UNAVAILABLE if this machine is not what the build is for */
export type OpenPlatform = () => Promise<Platform>;
