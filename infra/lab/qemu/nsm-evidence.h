/*
 * Signed attestation documents for the emulated Nitro security module
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_NSM_EVIDENCE_H
#define QEMU_NSM_EVIDENCE_H

#include "qapi/error.h"
#include <cbor.h>

/* r and s of an ES384 signature, 48 bytes each, big endian. */
#define NSM_SIGNATURE_SIZE 96

/* What the module proves itself with: the certificates from the root down to its own, and the key of the last one. */
typedef struct NSMEvidence NSMEvidence;

/*
 * Reads a directory: key.pem (P-384), leaf.der, and the issuers, bundle-0.der (the root), bundle-1.der, ...
 * NULL with an error if any of them is missing or cannot be used.
 */
NSMEvidence *nsm_evidence_load(const char *directory, Error **errp);

/* The document's fields "certificate" and "cabundle". */
bool nsm_evidence_add_certificates(const NSMEvidence *evidence, cbor_item_t *payload);

/* Signs ["Signature1", protected, h'', payload] (RFC 9052, section 4.4). */
bool nsm_evidence_sign(const NSMEvidence *evidence, cbor_item_t *protected_header, cbor_item_t *payload,
                       uint8_t signature[NSM_SIGNATURE_SIZE]);

#endif
