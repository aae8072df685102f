import type { ErrorCode } from './errors.ts';
import type { Digest, KeyId, PartyId } from './ids.ts';

/** Fields that may leave a process in its log. Nothing else is loggable: there is no field for free text or bytes. */
export interface LogFields {
  readonly party?: PartyId;
  readonly peers?: number;
  readonly code?: ErrorCode;
  readonly reason?: LogReason;
  readonly networkId?: Digest;
  readonly keyId?: KeyId;
  readonly address?: string;
  readonly service?: string;
  readonly step?: string;
  readonly bytes?: number;
  readonly count?: number;
  readonly pid?: number;
  readonly ms?: number;
}

/** Why a connection was refused or closed. */
export type LogReason =
  | 'accept-rate'
  | 'address-limit'
  | 'address-not-allowed'
  | 'attestation'
  | 'attestation-expired'
  | 'bad-frame'
  | 'buffer-limit'
  | 'certificate'
  | 'closed-by-peer'
  | 'connection-limit'
  | 'handshake-rate'
  | 'handshake-timeout'
  | 'idle'
  | 'outbox-full'
  | 'peer-silent'
  | 'replaced'
  | 'shutdown'
  | 'superseded'
  | 'tls'
  | 'unreachable';

export type LogLevel = 'info' | 'warn' | 'error';

/** @param event a constant name in kebab case, never built from data */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

export const silent: Log = () => {};
