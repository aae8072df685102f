import type { Preset } from './presets.ts';

function frozen(preset: Omit<Preset, 'levels'>): Preset {
  return Object.freeze({
    ...preset,
    levels: preset.dataPrimes.length,
    dataPrimes: Object.freeze([...preset.dataPrimes]),
    parmsIds: Object.freeze([...preset.parmsIds]),
    noise: Object.freeze({ ...preset.noise }),
  });
}

/**
 * The production shape at half the degree: fast, and INSECURE. 214 bits are nearly twice what the 2018
 * standard allows at N=4096 (109), so SEAL builds it only without its security check.
 */
export const test4096: Preset = frozen({
  name: 'test-4096',
  degree: 4096,
  dataPrimes: [18014398509211649n, 18014398509293569n, 4503599627149313n],
  specialPrime: 18014398509309953n,
  plainModulus: 1032193n,
  lambda: 64,
  vMax: 1n << 13n,
  decryptionLevel: 2,
  floodBits: 77,
  depth: 1,
  sealSecurityLevel: 0,
  testOnly: true,
  keyParmsId: '2c64c2e06c7917f870e4267c1f96442df71b0f05521c8917db9c2a6c41d724c5',
  parmsIds: [
    '6eb56750abca348ce0c944566285ad5ba0fd6612c4bc44321e5c137808f3a75c',
    '9b0284c721c9b3ae9b5857170b2b8b88987fc979acddc1d4a5ad7a499080c0d1',
    '9f6d9d1d4432b6853b51b55241461168dc45701fddbdb0819b90c4f6419dd778',
  ],
  noise: {
    input: 2036506n,
    productGain: 106585406300n,
    productOffset: 138057433n,
    relinPerDigit: 8766377984n,
    galoisPerDigit: 323704n,
    keySwitchOffset: 40782n,
    switchOffset: 5044n,
  },
});

/**
 * The default: 54+54+52 | 54 = 214 bits, under the 218 that the 2018 HomomorphicEncryption.org standard
 * allows at N=8192 (ternary secret, 128-bit classical). After the switch to two primes 108 bits stay, which
 * at (13,4) just hold C*B + vMax + 1 < Q'/2p for B = 2^77.
 */
export const bfv8192: Preset = frozen({
  name: 'bfv-8192',
  degree: 8192,
  dataPrimes: [18014398507892737n, 18014398508138497n, 4503599627124737n],
  specialPrime: 18014398508400641n,
  plainModulus: 1032193n,
  lambda: 64,
  vMax: 1n << 13n,
  decryptionLevel: 2,
  floodBits: 77,
  depth: 1,
  sealSecurityLevel: 128,
  testOnly: false,
  keyParmsId: 'fac5557ad37430fa98e969db413967b2ed8bd389f294b752f3adbfecab459d30',
  parmsIds: [
    'a16ce1eae83094cbc07c50107e0b3b2a96fbcacf47e862321330f9c3f102b08e',
    'd47e10951d8588b507ed351f8c0b83e6500c87d1cd3fcc38e9ab0af3def64dbe',
    '4697746cdf3082a5e0ccb6f1b2d46bb5d0bba629961a202e08ff8ac4a2448fe4',
  ],
  noise: {
    input: 3920608n,
    productGain: 213170785304n,
    productOffset: 276114846n,
    relinPerDigit: 24795054080n,
    galoisPerDigit: 623188n,
    keySwitchOffset: 78511n,
    switchOffset: 7132n,
  },
});

/** Deeper circuits and 33-bit plaintexts: 8 primes of 54 bits, 432 under the standard's 438 at N=16384. */
export const bfv16384: Preset = frozen({
  name: 'bfv-16384',
  degree: 16384,
  dataPrimes: [
    18014398504206337n,
    18014398505943041n,
    18014398506729473n,
    18014398506827777n,
    18014398507220993n,
    18014398507614209n,
    18014398508138497n,
  ],
  specialPrime: 18014398508400641n,
  plainModulus: 8589475841n,
  lambda: 72,
  vMax: 1n << 23n,
  decryptionLevel: 3,
  floodBits: 95,
  depth: 4,
  sealSecurityLevel: 128,
  testOnly: false,
  keyParmsId: '2f4a005f587ca67d060abd22532d08cf33b225cb10e6336b8026f760896433ae',
  parmsIds: [
    '325ce53ef405d4968bc151ab3408d1385f61f9134b2c2cb1cc97f0c7284e37c9',
    'f0ad0ea8aead85546a464454112e26647838eea1e6762dee98b705300442eb49',
    'b52fe7d0025e5e18ba664b29aea6322522c416e06f3b7db6ab7f69b6b850ac13',
    '061370c7cdd01b650e7388b5ed48136c714b69a3d04017097050a2874509d075',
    '9b8ab6b83258d26b4ec7593395a76b0b5562ae8131eb8fd8276dcde4aa1fb325',
    '0428a077db0c65e83a756a7a827e929fd0d00320040674e1135d51e05647ca52',
    '3302be4cf1f36f965ac18fb56434a958a20be3a0ef0b78311fec00370b83d26b',
  ],
  noise: {
    input: 7628590n,
    productGain: 3547834799862972n,
    productOffset: 1104459345n,
    relinPerDigit: 70131007487n,
    galoisPerDigit: 1212586n,
    keySwitchOffset: 152763n,
    switchOffset: 10086n,
  },
});
