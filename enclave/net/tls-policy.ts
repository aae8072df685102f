import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/**
 * TLS 1.3 with the hybrid post-quantum group and nothing else: links carry seeds and shares, and traffic recorded today
 * must stay secret (protocols.md section 8). No tickets: every connection proves possession of the certificate's key.
 */
export const TLS_POLICY = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ecdhCurve: 'X25519MLKEM768',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

export const ALPN = 'h2';

export const HANDSHAKE_TIMEOUT_MS = 5_000;
