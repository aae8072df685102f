/**
 * What crosses between a parent and its enclave: streams opened for a service.
 * `ingress`: the parent connects for every inbound connection and pipes its bytes; the enclave listens.
 * `members`: the same for connections from hosts where the configuration has members. The parent sees addresses and the
 * enclave does not, so this is the parent's word: it decides what a stream may cost and nothing else.
 * `egress`: the enclave connects, writes the address (shared/egress.ts), then its bytes; the parent listens.
 */
export type LinkService = 'ingress' | 'members' | 'egress';

export interface Listener {
  /** No new streams; open ones stay. */
  close(): Promise<void>;
}

/**
 * Streams between a parent and its enclave, by unix sockets or AF_VSOCK. Both carry bytes and both ways end together:
 * half-closed streams do not exist, so nobody may use the end of one direction as a signal.
 * @typeParam Stream the platform's duplex byte stream with back pressure
 */
export interface Link<Stream> {
  /** @throws {KmsError} BUSY if another process listens for this service; UNAVAILABLE if it cannot be opened */
  listen(service: LinkService, onStream: (stream: Stream) => void): Promise<Listener>;
  /** @throws {KmsError} UNAVAILABLE if nobody listens, TIMEOUT */
  connect(service: LinkService): Promise<Stream>;
}
