import type { Anchor } from '../../shared/sealing/anchor.ts';
import type { Nsm } from '../nsm/nsm.ts';

/** What a build takes from the machine below it. `#platform` names the implementation: nitro.ts or mock.ts. */
export interface Platform {
  readonly name: 'nitro' | 'mock';
  readonly nsm: Nsm;
  /**
   * What remembers the states of nodes outside them. @param directory of a local network
   * @throws {KmsError} BAD_INPUT if this platform has no such directory
   */
  openAnchor(directory: string | undefined): Anchor | undefined;
}

/** @throws {KmsError} UNAVAILABLE if this machine is not what the build is for */
export type OpenPlatform = () => Promise<Platform>;
