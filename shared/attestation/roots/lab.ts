import type { OpenChainHead } from '../../network/chain-head.ts';
import { type AttestationRoot, pinnedRoot } from '../root.ts';

/**
 * The root of images booted under emulation. Its private key is in infra/lab, for everybody to read: it proves nothing,
 * and no production build knows this root.
 */
const labRoot: AttestationRoot = pinnedRoot({
  name: 'lab',
  class: 'lab',
  sha256: '83a27f4307ad04f0a6fd8003985deb5e929310e0a3b7cedfbacc43d201f1073e',
  derBase64:
    'MIICLDCCAbOgAwIBAgIQASOnaKPyCYF4rPWB6SkFhTAKBggqhkjOPQQDAzBYMQswCQYDVQQGEwJVUzEWMBQGA1UEChMNVGhy' +
    'ZXNob2xkIEtNUzEMMAoGA1UECxMDTGFiMSMwIQYDVQQDExpsYWIubml0cm8tZW5jbGF2ZXMuaW52YWxpZDAeFw0yMDAxMDEw' +
    'MDAwMDBaFw00OTEyMzEwMDAwMDBaMFgxCzAJBgNVBAYTAlVTMRYwFAYDVQQKEw1UaHJlc2hvbGQgS01TMQwwCgYDVQQLEwNM' +
    'YWIxIzAhBgNVBAMTGmxhYi5uaXRyby1lbmNsYXZlcy5pbnZhbGlkMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEbs0QFTxuvTO+' +
    'oRWDlqsSMHAmBUfgCshlUyrg8idJ2fPQEUzvxxJP50lOH2ofiP7Wy/DSE1AyXElZgw8s1Dh+EEaJ7FsYBKZIQJaUEOVdEDVE' +
    '5Kn4yrjMVVexNGvw2qelo0IwQDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQasPbyFm0OB2rOq3xD6AOJgx1rVzAOBgNV' +
    'HQ8BAf8EBAMCAYYwCgYIKoZIzj0EAwMDZwAwZAIwWKNq1RB2ymiPZOZg0DA96epNxkUGc+FiLjrJYCvn1RUgSWrf+Ef32XZF' +
    'HxujVk1bAjBe19xjEorQutV3ArhzMx8Dx5Mil6LhI4oHqLorpfnxXXFLWcPhoSDR0RD/4CVqpvE=',
});

/** The roots of this build; `#roots` names this file under the condition `kms-lab`. */
export const ROOTS: readonly AttestationRoot[] = [labRoot];

/** A network without a gateway has no chain to ask. */
export const openChainHead: OpenChainHead = () => undefined;
/** DER of the roots that TLS to cloud services leads to: stand-ins take certificates from the same public key. */
export const ENDPOINT_ROOTS: readonly Uint8Array[] = [labRoot.der];
