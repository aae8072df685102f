import { createHash } from 'node:crypto';
import { canonicalHeader } from '../aws/canonical-request.ts';
import {
  type Checksum,
  type ChecksumAlgorithm,
  checksumAlgorithms,
  checksumOf,
  headerOf,
  isChecksum,
} from './checksum.ts';
import { type Exchange, header } from './exchange.ts';
import { S3Error } from './s3-error.ts';

/**
 * Verifies everything the client said about its body, in headers and trailer.
 * @returns the checksum to store; CRC64NVME, as S3 does, if the client gave none
 * @throws {S3Error} BadDigest, InvalidDigest, InvalidRequest
 */
export function verifiedChecksum(exchange: Exchange, otherwise: ChecksumAlgorithm = 'CRC64NVME'): Checksum {
  const { body } = exchange;
  verifyMd5(exchange);
  const stated = statedChecksum(exchange);
  const algorithm = stated?.algorithm ?? otherwise;
  const value = checksumOf(algorithm, body);
  if (stated !== undefined && stated.value !== value) throw badDigest(algorithm);
  return { algorithm, value, type: 'FULL_OBJECT' };
}

/** For XML bodies: as for objects, but nothing to store. */
export function verifyBody(exchange: Exchange): void {
  verifyMd5(exchange);
  const stated = statedChecksum(exchange);
  if (stated !== undefined && checksumOf(stated.algorithm, exchange.body) !== stated.value) {
    throw badDigest(stated.algorithm);
  }
}

/** The one checksum that the client sent; not compared with the body. */
export function statedChecksum(
  exchange: Exchange,
): { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined {
  const found = checksumAlgorithms.flatMap((algorithm) => {
    const name = headerOf(algorithm);
    const values = [canonicalHeader(exchange.headers, name), exchange.trailers.get(name)];
    return values.filter((value) => value !== undefined).map((value) => ({ algorithm, value }));
  });
  const [stated] = found;
  if (found.length > 1) {
    throw new S3Error('InvalidRequest', 'expecting a single x-amz-checksum- header');
  }
  const named = header(exchange, 'x-amz-sdk-checksum-algorithm');
  if (named !== undefined && stated !== undefined && named.toUpperCase() !== stated.algorithm) {
    throw new S3Error('InvalidRequest', 'x-amz-sdk-checksum-algorithm names another checksum than was sent');
  }
  if (stated !== undefined && !isChecksum(stated.algorithm, stated.value)) {
    throw new S3Error('InvalidRequest', `the value of ${headerOf(stated.algorithm)} is invalid`);
  }
  return stated;
}

/** As a client that asked for checksums gets it. */
export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  return checksum === undefined
    ? {}
    : { [headerOf(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type };
}

export function badDigest(algorithm: string): S3Error {
  return new S3Error('BadDigest', `the ${algorithm} you specified did not match what we received`);
}

function verifyMd5(exchange: Exchange): void {
  const stated = header(exchange, 'content-md5');
  if (stated === undefined) return;
  const bytes = Buffer.from(stated, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== stated) {
    throw new S3Error('InvalidDigest', 'Content-MD5 is not base64 of 16 bytes');
  }
  if (!createHash('md5').update(exchange.body).digest().equals(bytes)) throw badDigest('Content-MD5');
}
