import type { Digest } from '../../ids.ts';
import { decode } from '../../wire/codec.ts';
import { isCertified, keyScope } from '../certificate.ts';
import type { Membership } from '../machine.ts';
import { keygenMessage } from './messages.ts';
import { type KeyRequest, keyIdOf, requestPurpose } from './request.ts';

/**
 * The request that a message introduces a certified key of; undefined for every other message, and unless request, key id
 * and n - t signatures fit together. What makes a member take an interest in a key that nobody asked it for.
 */
export function introducedBy(of: Membership, purpose: Digest, message: Uint8Array): KeyRequest | undefined {
  try {
    const decoded = decode(keygenMessage, message);
    if (decoded.kind !== 'introduction') return undefined;
    const { request, key, attempt, certificate } = decoded;
    const isOfRequest = requestPurpose(of, request) === purpose && keyIdOf(of, purpose, attempt) === key;
    return isOfRequest && isCertified(of, keyScope(key), certificate) ? request : undefined;
  } catch {
    return undefined;
  }
}
