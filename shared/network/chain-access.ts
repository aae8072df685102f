import type { Finality } from './genesis.ts';
import type { RpcSet } from './rpc.ts';

/** How a chain is asked, and which of its blocks count. */
export interface ChainAccess {
  readonly chainId: bigint;
  readonly finality: Finality;
  /** How old the newest block may be, in seconds of enclave time; 1 or more. */
  readonly maxHeadAgeS: number;
  readonly rpc: RpcSet;
}
