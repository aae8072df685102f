import type { SecureContextOptions } from 'node:tls';

/**
 * TLS to services that are no members: the cloud's and chains'. Forward secret, authenticated encryption only; the hybrid
 * post-quantum group first, for servers that have it. Whom to believe is each caller's to add.
 */
export const ENDPOINT_TLS = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  ciphers: [
    ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
    ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
    ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ].join(':'),
  allowPartialTrustChain: false,
} as const satisfies SecureContextOptions;
