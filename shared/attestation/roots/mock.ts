import type { ChainHead, OpenChainHead } from '../../network/chain-head.ts';
import type { Measurement } from '../../network/measurement.ts';
import { fromHex } from '../../wire/bytes.ts';
import { type AttestationRoot, pinnedRoot } from '../root.ts';

/**
 * The root of mock enclaves. Its private key is in the source of the mock platform, for everybody to read: it proves
 * nothing, and it is accepted for networks whose id says mock only.
 */
const mockRoot: AttestationRoot = pinnedRoot({
  name: 'mock',
  class: 'mock',
  sha256: '70a1efb9eeff020cac6c96557de6ffb97495e227920e0b914fcf2c8f097ee945',
  derBase64:
    'MIICMTCCAbegAwIBAgIQAXsJIoZvIwBUAJPXXOzb3TAKBggqhkjOPQQDAzBaMQswCQYDVQQGEwJVUzEWMBQGA1UEChMNVGhy' +
    'ZXNob2xkIEtNUzENMAsGA1UECxMETW9jazEkMCIGA1UEAxMbbW9jay5uaXRyby1lbmNsYXZlcy5pbnZhbGlkMB4XDTIwMDEw' +
    'MTAwMDAwMFoXDTQ5MTIzMTAwMDAwMFowWjELMAkGA1UEBhMCVVMxFjAUBgNVBAoTDVRocmVzaG9sZCBLTVMxDTALBgNVBAsT' +
    'BE1vY2sxJDAiBgNVBAMTG21vY2subml0cm8tZW5jbGF2ZXMuaW52YWxpZDB2MBAGByqGSM49AgEGBSuBBAAiA2IABOmLsohg' +
    'dJ62ND8GiRu6w9kyL+NTGNIZlEUwx1EdogKoK/rsgRAUHUqt8AZRM4Tm8tOefpiAif+zRpTntYVGVwXe21L3dj5P5fVIX2wC' +
    'HCamvupNEAvU4T47cKj++oe7zKNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU88UpUPzbYg7V964x0tlynBPwjBUw' +
    'DgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMDA2gAMGUCMGq78Yr5H919HW/t3G6BpTyQVjvN8S7vI20+3xvjROJqW24K6t5E' +
    'MNMnVWunm3i3vAIxANIKrO2AaP7SzV2TJRE9d3fJ/aV4hooMmvOp3QV+CmpU5ZhyxIHJqWT2V6hE31sLyg==',
});

/** The roots of this build; `#roots` names this file under the condition `default`. */
export const ROOTS: readonly AttestationRoot[] = [mockRoot];

/** DER of the roots that TLS to cloud services leads to: stand-ins take certificates from the same public key. */
export const ENDPOINT_ROOTS: readonly Uint8Array[] = [mockRoot.der];

/** What every mock enclave reports as its image: SHA-384 of a text with a version (a test holds them to it). */
export const MOCK_MEASUREMENT: Measurement = {
  pcr0: fromHex(
    'b7dd5384b97e9630fcee88e1a068a3b3b5e48e3190e11b7b' + '7285963b5a51f77d3fe49937a6ca9b9da08fab1e0f3d45e4',
  ),
  pcr1: fromHex(
    'fcb7f0036091d89184f8f2ce4b9147b02cf617feedc473ca' + 'f36934459a7a869f633f1e77275285834a34d4d1322eef2c',
  ),
  pcr2: fromHex(
    'd9e7b011b20181ad93041ae25ee2c3dbe7545d7895777d94' + '2e9668708709a72cf908a36c082e69b264aa3cdf8893839f',
  ),
};

/** Block 0 of every mock network. */
const MOCK_BLOCK_0_MS: number = Date.UTC(2026, 0, 1);
const MOCK_BLOCK_MS = 1000;

/** A stand-in for the chain in mock networks without a gateway: one block a second of the asker's time since MOCK_BLOCK_0_MS. */
export function mockChainHead(nowMs: () => number): ChainHead {
  let highest = 0;
  const block = (): number => {
    highest = Math.max(highest, Math.floor((nowMs() - MOCK_BLOCK_0_MS) / MOCK_BLOCK_MS));
    return highest;
  };
  return { block, now: async () => block() };
}

export const openChainHead: OpenChainHead = mockChainHead;
