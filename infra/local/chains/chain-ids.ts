export const GATEWAY_CHAIN_ID = 31337;
export const HOST_CHAIN_IDS: readonly number[] = [31338, 31339];
