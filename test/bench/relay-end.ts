import 'reflect-metadata';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { X509CertificateGenerator } from '@peculiar/x509';
import { TLS_POLICY } from '../../enclave/net/tls-policy.ts';

/**
 * An enclave's end of the link, as a process of its own: `relay-end.ts <socket path>`. It ends TLS and answers what the first
 * byte on a connection asks for; it prints a line when it listens.
 */

/** Take TRANSFER_BYTES, then send one byte. */
export const TRANSFER = 1;
/** Send back whatever comes. */
export const ECHO = 2;
export const TRANSFER_BYTES: number = 64 << 20;

const CURVE = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function main(path: string): Promise<void> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    { keys, signingAlgorithm: CURVE },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  const tls = createTlsServer({ ...TLS_POLICY, key, cert: certificate.toString('pem') }, serve);
  createServer((stream) => tls.emit('connection', stream)).listen(path, () =>
    process.stdout.write('listening\n'),
  );
}

function serve(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.setNoDelay(true);
  let asked: number | undefined;
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    const first = asked === undefined ? 1 : 0;
    asked ??= chunk[0];
    if (asked === ECHO) {
      if (chunk.length > first) socket.write(chunk.subarray(first));
      return;
    }
    received += chunk.length - first;
    if (received === TRANSFER_BYTES) socket.write(Uint8Array.of(1));
  });
}

const [, , path] = process.argv;
if (import.meta.main && path !== undefined) await main(path);
