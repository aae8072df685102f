import { type AttestationRoot, pinnedRoot } from '../root.ts';

/**
 * The root of mock enclaves. Its private key is in the source of the mock platform, for everybody to read: it proves
 * nothing, and it is accepted for networks whose id says mock only.
 */
const mockRoot: AttestationRoot = pinnedRoot({
  name: 'mock',
  isMock: true,
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
