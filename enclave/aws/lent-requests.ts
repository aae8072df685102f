import { type Pace, type Patience, realPace, type Verdict, withPatience } from './attempts.ts';
import { type AwsCredentials, type CredentialProvider, LentCredentials } from './credentials.ts';
import { serviceFaultOf } from './kms-errors.ts';

export interface LentRequestsOptions<Client> {
  readonly credentials: CredentialProvider;
  /** A client of the SDK that signs with these. */
  readonly open: (credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  }) => Client;
  readonly patience: Patience;
  readonly pace?: Pace | undefined;
  readonly nowMs?: (() => number) | undefined;
  /** Errors of this service that pass by themselves, beyond the common ones. */
  readonly isPassing?: (error: unknown) => boolean;
}

/** Requests to one service of AWS with what the parent lends: repeated in patience, with other credentials when these end. */
export class LentRequests<Client> {
  readonly #options: LentRequestsOptions<Client>;
  readonly #credentials: LentCredentials;
  #client: { readonly of: AwsCredentials; readonly client: Client } | undefined;

  constructor(options: LentRequestsOptions<Client>) {
    this.#options = options;
    this.#credentials = new LentCredentials(options.credentials, options.nowMs);
  }

  /** @throws what the service or withPatience() throws */
  async send<T>(what: string, request: (client: Client, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { patience, pace = realPace, isPassing } = this.#options;
    let used: AwsCredentials | undefined;
    const spent = new Set<string>();
    const attempt = async (signal: AbortSignal): Promise<T> => {
      used = await this.#credentials.current();
      return request(this.#clientFor(used), signal);
    };
    const judge = async (error: unknown): Promise<Verdict> => {
      const fault = isPassing?.(error) === true ? 'passing' : serviceFaultOf(error);
      if (fault === 'passing') return 'later';
      // Putting right helps once; the second time it is a refusal.
      if (fault === 'refused' || spent.has(fault)) return 'never';
      spent.add(fault);
      if (fault === 'credentials' && used !== undefined) await this.#credentials.refuse(used);
      return 'now';
    };
    return withPatience(what, patience, pace, attempt, judge);
  }

  #clientFor(credentials: AwsCredentials): Client {
    if (this.#client?.of === credentials) return this.#client.client;
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const client = this.#options.open({
      ...{ accessKeyId, secretAccessKey },
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
    this.#client = { of: credentials, client };
    return client;
  }
}
