/** The classes that have an image; mock enclaves are processes. */
export type ImageClass = 'production' | 'lab';

export const imageClasses: readonly ImageClass[] = ['production', 'lab'];

/**
 * What the kernel is told, measured with the image. Messages from warnings on go out by the first serial port; `keep`
 * because nothing else takes over: there is no TTY. A reset by the keyboard controller is what Nitro ends an enclave by.
 */
const CMDLINE = 'reboot=k panic=-1 loglevel=5 earlyprintk=serial,ttyS0,115200,keep random.trust_cpu=off';

/** Emulators call the parent 2, Nitro 3. */
const LAB_PARENT_CID = 2;
const PARENT_CID = 3;

export const cmdlines: Readonly<Record<ImageClass, string>> = {
  production: CMDLINE,
  lab: `${CMDLINE} enclave.parent_cid=${LAB_PARENT_CID}`,
};

/** Rounds as long as an emulated processor needs; all nodes of a lab network have the same. */
export const labTiming = { roundMs: 20_000, openingMs: 600_000 } as const;

/**
 * The enclave's configuration (enclave/config.ts) is part of the image: nothing in it is one node's own.
 */
export const configurations: Readonly<Record<ImageClass, object>> = {
  production: { parentCid: PARENT_CID, roundMs: 5_000, openingMs: 120_000 },
  lab: { parentCid: LAB_PARENT_CID, ...labTiming, cloudMs: 60_000 },
};

const NODE = '/usr/bin/node';
const APPLICATION = '/app/enclave.mjs';
const CONFIGURATION = '/app/enclave.json';

/** What init runs: no debugger by signal, no code from strings. */
export const command: readonly string[] = [
  NODE,
  ...[
    '--disable-sigusr1',
    '--disallow-code-generation-from-strings',
    '--disable-warning=ExperimentalWarning',
  ],
  ...[APPLICATION, '--config', CONFIGURATION],
];

/**
 * Nothing that Node or a library reads settings from. Some libraries ask for a home before they find nothing there; the
 * image has no list of users to look it up in.
 */
export const environment: readonly string[] = ['NODE_ENV=production', 'HOME=/app'];

export const places = { node: NODE, application: APPLICATION, configuration: CONFIGURATION } as const;
