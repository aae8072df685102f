/**
 * Settings common to the clients of the SDK. Each is stated because for each that is not the SDK looks into the environment
 * and into files of the user's home.
 */
export const CLIENT_SETTINGS = {
  defaultsMode: 'standard',
  /** Repeating is for attempts.ts, which renews documents and credentials. */
  maxAttempts: 1,
  retryMode: 'standard',
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  userAgentAppId: 'threshold-kms',
} satisfies {
  readonly defaultsMode: 'standard';
  readonly maxAttempts: number;
  readonly retryMode: string;
  readonly useDualstackEndpoint: boolean;
  readonly useFipsEndpoint: boolean;
  readonly userAgentAppId: string;
};

export const AUTH_SCHEMES: readonly string[] = ['sigv4'];
