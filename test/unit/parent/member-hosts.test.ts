import { describe, expect, it } from 'vitest';
import { MemberHosts } from '../../../parent/member-hosts.ts';
import { KmsError } from '../../../shared/errors.ts';
import { until } from '../net/nodes.ts';

const addresses = ['10.0.0.1:7000', 'node-2.example:7000', '[2001:db8::3]:7000', 'absent.example:1'];

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'node-2.example': ['10.0.0.2', '2001:db8::2'],
};

async function resolve(host: string): Promise<readonly string[]> {
  const found = host.endsWith('.example') ? NAMES[host] : [host];
  if (found === undefined) throw new Error('no such name');
  return found;
}

describe('member hosts', () => {
  it('member hosts: are the addresses and names of the configuration, however they are written', async () => {
    const hosts = new MemberHosts(async () => addresses, resolve);
    await hosts.refresh();
    for (const ip of ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2', '2001:db8::2', '2001:db8::3']) {
      expect(hosts.has(ip), ip).toBe(true);
    }
    for (const ip of ['10.0.0.3', '::ffff:10.0.0.3', '2001:db8::4', '', 'node-2.example']) {
      expect(hosts.has(ip), ip).toBe(false);
    }
  });

  it('member hosts: on one machine nobody is told apart', async () => {
    const local = ['127.0.0.1:1', '127.1.2.3:2', '[::1]:3'];
    const hosts = new MemberHosts(async () => local, resolve);
    await hosts.refresh();
    for (const ip of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
      expect(hosts.has(ip), ip).toBe(false);
    }
  });

  it('member hosts: before they are known, and when the file is bad, nobody is one', async () => {
    let bad = true;
    const hosts = new MemberHosts(async () => {
      if (bad) throw new KmsError('BAD_CONFIGURATION', 'bad');
      return addresses;
    }, resolve);
    expect(hosts.has('10.0.0.1')).toBe(false);
    bad = false;
    await hosts.refresh();
    expect(hosts.has('10.0.0.1')).toBe(true);
    bad = true;
    await hosts.refresh();
    expect(hosts.has('10.0.0.1')).toBe(false);
  });

  it('member hosts: are looked up by themselves', async () => {
    const hosts = new MemberHosts(async () => addresses, resolve);
    await until(() => hosts.has('10.0.0.1'));
  });
});
