import type { X509Certificate } from 'node:crypto';
import { nitroForm } from '../../client/nitro-measurements.ts';
import { octetsOfBitString, readDer, Tag } from '../../shared/attestation/der.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { EnclaveImage } from './image.ts';
import { decodeMetadata, type Json } from './metadata.ts';
import { measure } from './pcr.ts';
import { parseCertificate, readSignatureSection } from './signature-section.ts';

type Description = Readonly<Record<string, Json>>;

/**
 * What `nitro-cli describe-eif` prints, field by field. Its two checks have been made: an image that fails one has no
 * description.
 * @throws {KmsError} BAD_SIGNATURE
 */
export function describeImage(image: EnclaveImage): Description {
  const { imageName, imageVersion, build, dockerInfo, customMetadata } = decodeMetadata(image.metadata);
  const certificate = image.signature && readSignatureSection(image.signature).certificate;
  return {
    EifVersion: 4,
    Measurements: nitroForm(measure(image)),
    IsSigned: certificate !== undefined,
    ...(certificate && { SigningCertificate: describeCertificate(parseCertificate(certificate)) }),
    CheckCRC: true,
    ...(certificate && { SignatureCheck: true }),
    ImageName: imageName,
    ImageVersion: imageVersion,
    Metadata: withCustom(
      {
        BuildTime: build.time,
        BuildTool: build.tool,
        BuildToolVersion: build.toolVersion,
        OperatingSystem: build.operatingSystem,
        KernelVersion: build.kernelVersion,
        DockerInfo: dockerInfo,
      },
      customMetadata,
    ),
  };
}

/** nitro-cli shows an image's own fields among the others; here they cannot take the others' place. */
function withCustom(fields: Description, custom: Json): Description {
  if (typeof custom !== 'object' || custom === null || Array.isArray(custom)) return fields;
  return { ...fields, ...Object.fromEntries(Object.entries(custom).filter(([name]) => !(name in fields))) };
}

const names: Readonly<Record<string, string>> = {
  C: 'countryName',
  ST: 'stateOrProvinceName',
  L: 'localityName',
  O: 'organizationName',
  OU: 'organizationalUnitName',
  CN: 'commonName',
};

function describeCertificate(certificate: X509Certificate): Description {
  const issuer = certificate.issuer.split('\n').map((line): readonly [string, string] => {
    const equals = line.indexOf('=');
    const name = line.slice(0, equals);
    return [names[name] ?? name, line.slice(equals + 1)];
  });
  return {
    IssuerName: Object.fromEntries(issuer.toSorted(([a], [b]) => (a < b ? -1 : 1))),
    Algorithm: certificate.signatureAlgorithm ?? certificate.signatureAlgorithmOid,
    NotBefore: certificate.validFrom,
    NotAfter: certificate.validTo,
    Signature: signatureOf(certificate),
  };
}

function signatureOf({ raw }: X509Certificate): string {
  const outer = readDer(raw, Tag.sequence);
  outer.take(Tag.sequence);
  outer.take(Tag.sequence);
  const signature = octetsOfBitString(outer.take(Tag.bitString).contents);
  return (toHex(signature).toUpperCase().match(/../g) ?? []).join(':');
}
