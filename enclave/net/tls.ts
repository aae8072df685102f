import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { type NodeClaim, verifyNodeCertificate } from '../../shared/attestation/certificate.ts';
import { type NodeTrust, type VerifiedNode, verifyNode } from '../../shared/attestation/node-evidence.ts';
import { KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Hashes, Verifier } from '../../shared/primitives.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import type { TlsIdentity } from './credentials.ts';
import type { Roster } from './roster.ts';
import { ALPN, HANDSHAKE_TIMEOUT_MS, TLS_POLICY } from './tls-policy.ts';

/**
 * Node's own checks are off on both sides (`rejectUnauthorized: false`): for self-signed certificates they refuse
 * everybody or nobody. Everything that is believed about a peer is checked here, before HTTP/2 sees a byte.
 */

/** What the TLS session proved: the peer holds the key of this certificate. */
interface PresentedCertificate {
  readonly der: Uint8Array;
  /** DER SubjectPublicKeyInfo as OpenSSL read it. */
  readonly spki: Uint8Array;
}

/**
 * Undefined: the peer showed no certificate. Call it once per socket: OpenSSL's chain is consumed by reading it.
 * @throws {KmsError} BAD_PEER for another protocol, a resumed session or more than one certificate
 */
function presentedCertificate(socket: TLSSocket): PresentedCertificate | undefined {
  if (socket.getProtocol() !== 'TLSv1.3' || socket.alpnProtocol !== ALPN || socket.isSessionReused()) {
    throw new KmsError('BAD_PEER', 'the TLS session is not a fresh TLS 1.3 session for HTTP/2');
  }
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  if (certificate.issuerCertificate !== undefined) {
    throw new KmsError('BAD_PEER', 'the peer sent a certificate chain');
  }
  const { publicKey } = certificate;
  if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new KmsError('BAD_PEER', 'the TLS key is not on P-256');
  }
  return { der: certificate.raw, spki: publicKey.export({ format: 'der', type: 'spki' }) };
}

/** Whom a member of a network takes for a peer. */
export interface PeerTrust {
  readonly roster: Roster;
  readonly trust: NodeTrust;
}

/** A member at the other end of a connection, as far as the cheap checks go. */
export interface ClaimedPeer {
  readonly party: PartyId;
  readonly claim: NodeClaim;
}

/**
 * Who the other end of an accepted connection claims to be, or undefined for a client, which shows no certificate. Its identity
 * or boot key has signed its TLS key for this network; the document is not verified at this point.
 * @param network undefined before the node has joined: nobody can be a peer then
 * @param mayParse asked when there is a certificate, before anything is computed for it
 * @throws {KmsError} BAD_PEER, BUSY
 */
export function claimedPeer(
  socket: TLSSocket,
  crypto: Hashes & Verifier,
  network: Roster | undefined,
  mayParse: () => boolean = () => true,
): ClaimedPeer | undefined {
  const presented = presentedCertificate(socket);
  if (presented === undefined) return undefined;
  if (!mayParse()) throw new KmsError('BUSY', 'too many certificates to verify');
  if (network === undefined) throw new KmsError('BAD_PEER', 'this node has not joined a network yet');
  const isPeer = (identity: Uint8Array): boolean => network.peerWith(identity) !== undefined;
  const bootKeyOf = (identity: Uint8Array): Uint8Array | undefined => network.bootKeyOf(identity);
  const claim = verifyNodeCertificate(crypto, presented.der, network.networkId, isPeer, bootKeyOf);
  assertSameKey(claim.spki, presented);
  const party = network.peerWith(claim.identity);
  if (party === undefined) {
    throw new KmsError('BAD_PEER', 'the certificate is not one of another member of this network');
  }
  return { party, claim };
}

/** A TLS client's socket, and whose it proved to be. */
export interface VerifiedSocket {
  readonly socket: TLSSocket;
  readonly node: VerifiedNode;
}

/**
 * TLS as a client over a connected stream; resolves when the other side has proved to be an attested node of that network,
 * and that very node if `identity` names one. The stream is destroyed on failure.
 * @param bootKeyOf whose boot key is taken for its identity; without it nobody's
 * @param own undefined for a client, which has no certificate
 * @throws {KmsError} BAD_PEER, BAD_ATTESTATION, UNAVAILABLE if TLS fails, TIMEOUT
 */
export async function connectTls(
  stream: Duplex,
  own: TlsIdentity | undefined,
  crypto: Hashes & Verifier,
  trust: NodeTrust,
  identity?: Uint8Array,
  bootKeyOf?: (identity: Uint8Array) => Uint8Array | undefined,
): Promise<VerifiedSocket> {
  const socket = connect({
    socket: stream,
    ...TLS_POLICY,
    ...own,
    ALPNProtocols: [ALPN],
    rejectUnauthorized: false,
  });
  try {
    await handshake(socket);
    const presented = presentedCertificate(socket);
    if (presented === undefined) throw new KmsError('BAD_PEER', 'the server shows no certificate');
    const isKnown = (found: Uint8Array): boolean => identity === undefined || equalBytes(found, identity);
    const claim = verifyNodeCertificate(crypto, presented.der, trust.networkId, isKnown, bootKeyOf);
    assertSameKey(claim.spki, presented);
    return { socket, node: await verifyNode(crypto, trust, claim) };
  } catch (error) {
    socket.destroy();
    stream.destroy();
    throw error;
  }
}

function handshake(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new KmsError('TIMEOUT', 'TLS handshake timed out')),
      HANDSHAKE_TIMEOUT_MS,
    );
    const closed = (): void => reject(new KmsError('UNAVAILABLE', 'connection closed in the TLS handshake'));
    // The listener stays: a socket that is verified but not yet handed on must not throw.
    socket.on('error', (cause) => reject(new KmsError('UNAVAILABLE', 'TLS handshake failed', { cause })));
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      socket.off('close', closed);
      resolve();
    });
    socket.once('close', () => clearTimeout(timer));
    socket.once('secureConnect', () => clearTimeout(timer));
  });
}

/** Two parsers read the same certificate; they must mean the same key. */
function assertSameKey(spki: Uint8Array, presented: PresentedCertificate): void {
  if (!equalBytes(spki, presented.spki)) {
    throw new KmsError('BAD_PEER', 'the certificate is ambiguous about its key');
  }
}
