import { lookup } from 'node:dns/promises';
import { BlockList } from 'node:net';
import { parseAddress } from '../shared/address.ts';

/** Names are resolved again so often. */
const FRESH_MS = 30_000;
const MAPPED = /^::ffff:(?=\d+\.)/i;

/** On one machine everybody has the same address, which then says nothing. */
const OWN = new BlockList();
OWN.addSubnet('127.0.0.0', 8);
OWN.addAddress('::1', 'ipv6');

/**
 * Whether a connection comes from a host where the configuration has a member. An address is easily shared, by a gateway or
 * by whoever else runs there: this orders who is served first, and proves nothing.
 */
export class MemberHosts {
  readonly #addresses: () => Promise<readonly string[]>;
  readonly #resolve: (host: string) => Promise<readonly string[]>;
  #hosts: ReadonlySet<string> = new Set();
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  /** @param addresses `host:port` of the members now */
  constructor(
    addresses: () => Promise<readonly string[]>,
    resolve: (host: string) => Promise<readonly string[]> = resolved,
  ) {
    this.#addresses = addresses;
    this.#resolve = resolve;
  }

  /** Answers at once, by what is known; what is old is looked up again meanwhile. */
  has(address: string): boolean {
    if (performance.now() - this.#refreshedAtMs > FRESH_MS) void this.refresh();
    return this.#hosts.has(address.replace(MAPPED, ''));
  }

  /** Never fails: who cannot be looked up is unknown. */
  async refresh(): Promise<void> {
    this.#refreshedAtMs = performance.now();
    try {
      const hosts = new Set((await this.#addresses()).map((address) => parseAddress(address).host));
      const found = await Promise.all([...hosts].map((host) => this.#resolve(host).catch(() => [])));
      this.#hosts = new Set(found.flat().filter((ip) => !OWN.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4')));
    } catch {
      this.#hosts = new Set();
    }
  }
}

async function resolved(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
