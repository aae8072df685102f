import { LocalNetwork } from '../../../infra/local/network.ts';

/** Founds a network without a gateway in the state directory that is its argument; whoever started it may kill it. */
const [, , stateDirectory] = process.argv;
if (stateDirectory !== undefined) await LocalNetwork.up({ stateDirectory });
