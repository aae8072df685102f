import { createHash } from 'node:crypto';
import { type Measurement, PCR_BYTES } from '../../shared/network/measurement.ts';
import type { EnclaveImage } from './image.ts';
import { verifySignature } from './signature.ts';
import { parseCertificate, readSignatureSection } from './signature-section.ts';

/** SHA-384 of zeros followed by the SHA-384 of the contents: a register that was extended once. */
function register(...contents: readonly Uint8Array[]): Uint8Array {
  const inner = createHash('sha384');
  for (const part of contents) inner.update(part);
  return new Uint8Array(
    createHash('sha384').update(new Uint8Array(PCR_BYTES)).update(inner.digest()).digest(),
  );
}

/** PCR0: what the image is signed by. */
export function imageRegister({ kernel, cmdline, ramdisks }: EnclaveImage): Uint8Array {
  return register(kernel, cmdline, ...ramdisks);
}

/** PCR8 of an image signed by this certificate. @param certificate PEM @throws {KmsError} BAD_ENCODING */
export function certificateRegister(certificate: Uint8Array): Uint8Array {
  return register(parseCertificate(certificate).raw);
}

/**
 * The registers that an enclave started from the image shows, PCR8 if it is signed.
 * @throws {KmsError} BAD_SIGNATURE
 */
export function measure(image: EnclaveImage): Measurement {
  const { kernel, cmdline, ramdisks, signature } = image;
  const pcr0 = imageRegister(image);
  const registers = {
    pcr0,
    pcr1: register(kernel, cmdline, ...ramdisks.slice(0, 1)),
    pcr2: register(...ramdisks.slice(1)),
  };
  if (signature === undefined) return registers;
  const section = readSignatureSection(signature);
  verifySignature(section, pcr0);
  return { ...registers, pcr8: certificateRegister(section.certificate) };
}
