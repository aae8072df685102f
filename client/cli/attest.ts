import { NO_NETWORK } from '../../shared/attestation/certificate.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { equalBytes, toHex } from '../../shared/wire/bytes.ts';
import { attestNode, isUnjoined, type NodeAttestation, nitroMeasurements } from '../attestation.ts';
import { Network, PATIENCE } from '../network.ts';
import type { NodePlace } from '../node-channel.ts';
import { rootsFor } from '../node-trust.ts';
import type { Arguments } from './arguments.ts';
import { type Command, networkFileOptions, type Outcome } from './command.ts';
import { knownBlock } from './gateway-block.ts';
import { networkPaths, readChain } from './network-files.ts';
import { anchorsOf } from './pins.ts';
import type { Terminal } from './terminal.ts';

const ADDRESS = /:/;

/** A node of the command line: where it is, and its party if it was called by that. */
interface Subject extends NodePlace {
  readonly name: string;
}

export const attest: Command = {
  name: 'attest',
  summary: 'verify what a node runs, end to end, and print its measurement',
  forms: [
    '[--state DIR] [--pin HASH]',
    'PARTY [--state DIR]',
    'HOST:PORT [--genesis FILE] [--config FILE] [--pin HASH]',
  ],
  details: [
    "Verifies the node's attestation document here: its chain to the root of the network's class, its age, that it is bound to the TLS " +
      'key of the connection, to the node and to the network, and that the network allows the image. Without an argument: ' +
      'all nodes.',
    'Measurements are printed as nitro-cli prints them: compare them with those of the image you built yourself. A node of ' +
      'a mock network runs in no enclave; its measurement is a constant.',
  ],
  examples: ['kms attest', 'kms attest 2 --json', 'kms attest 127.0.0.1:7001 --genesis genesis.bin'],
  options: networkFileOptions,
  maxPositionals: 1,

  async run(given, terminal) {
    const mustBelong = isNamed(given) || !ADDRESS.test(given.positionals[0] ?? '');
    const network = await networkOf(given, terminal, mustBelong);
    try {
      const results = [];
      for (const subject of subjectsOf(given, network)) {
        results.push({ subject, attestation: await attestNode(subject, network) });
      }
      const outcome = {
        json: { nodes: results.map(({ subject, attestation }) => jsonOf(subject, attestation)) },
        lines: results.flatMap(({ subject, attestation }) => linesOf(subject, attestation)),
      };
      // What has not joined the network that was asked about is nothing to rely on either.
      const refused = results.filter(({ attestation: { isAllowed } }) => !(isAllowed ?? !mustBelong));
      if (refused.length > 0) {
        for (const line of outcome.lines) terminal.note(line);
        const names = refused.map(({ subject }) => subject.name).join(', ');
        throw new KmsError(
          'BAD_ATTESTATION',
          `no member of this network with an image that it allows: ${names}`,
        );
      }
      return outcome;
    } finally {
      network?.close();
    }
  },
};

/** A node called by its address alone may belong to no network yet. */
async function networkOf(
  given: Arguments,
  terminal: Terminal,
  mustBelong: boolean,
): Promise<Network | undefined> {
  try {
    const chain = await readChain(networkPaths(given, terminal), anchorsOf(given, terminal));
    return new Network(chain, PATIENCE, await knownBlock(given, terminal, chain.genesis));
  } catch (error) {
    if (mustBelong || codeOf(error) !== 'UNAVAILABLE') throw error;
    return undefined;
  }
}

function isNamed(given: Arguments): boolean {
  return ['state', 'genesis', 'config', 'pin'].some((name) => given.text(name) !== undefined);
}

function subjectsOf(given: Arguments, network: Network | undefined): readonly Subject[] {
  const [whom] = given.positionals;
  if (whom !== undefined && ADDRESS.test(whom)) {
    return [{ name: whom, identity: undefined, addresses: [whom] }];
  }
  const all = (network?.members ?? []).map(({ party, identity, address }) => ({
    ...{ party, identity, addresses: [address] },
    name: `party ${party} at ${address}`,
  }));
  const named = all.filter(({ party }) => whom === undefined || `${party}` === whom);
  return named.length > 0 ? named : given.refuse(`there is no party '${whom}' in this network`);
}

function jsonOf({ name }: Subject, attestation: NodeAttestation): Outcome['json'] {
  const { card, node, isAllowed, enrolment } = attestation;
  return {
    node: name,
    identity: toHex(card.identity),
    phase: card.phase,
    networkId: card.network?.networkId,
    party: card.network?.party,
    root: rootOf(attestation),
    time: new Date(node.document.timestampMs).toISOString(),
    moduleId: node.document.moduleId,
    allowed: isAllowed,
    signer: enrolment && toHex(enrolment.statement.signer),
    enrolledBy: enrolment?.signatures.map(({ party }) => party),
    Measurements: nitroMeasurements(node),
  };
}

function linesOf({ name }: Subject, attestation: NodeAttestation): readonly string[] {
  const { card, node, isAllowed, enrolment } = attestation;
  const image =
    isAllowed === undefined
      ? 'of no network yet'
      : isAllowed
        ? 'allowed by the network'
        : 'NOT ALLOWED by the network';
  const signer =
    enrolment === undefined
      ? 'not enrolled yet'
      : `${toHex(enrolment.statement.signer)}, enrolled by parties ${enrolment.signatures.map(({ party }) => party).join(', ')}`;
  return [
    `${name}: attested, ${card.phase}, image ${image}`,
    `identity     ${toHex(card.identity)}`,
    `document     by ${rootOf(attestation)}, ${new Date(node.document.timestampMs).toISOString()}, ${node.document.moduleId}`,
    ...(isUnjoined(attestation) ? [] : [`signer       ${signer}`]),
    ...JSON.stringify({ Measurements: nitroMeasurements(node) }, undefined, 2).split('\n'),
    '',
  ];
}

/** Which of the pinned roots vouches; for a mock or the lab that is nobody. */
function rootOf({ card, node }: NodeAttestation): string {
  const [first] = node.document.caBundle;
  const roots = rootsFor(card.network?.networkId ?? NO_NETWORK);
  const root = roots.find(({ der }) => first !== undefined && equalBytes(der, first));
  return root === undefined ? 'no root' : `the ${root.class} root ${root.name}`;
}
