/*
 * Signed attestation documents for the emulated Nitro security module
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/virtio/cbor-helpers.h"
#include "nsm-evidence.h"
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define MAX_BUNDLE 8
#define COORDINATE_SIZE (NSM_SIGNATURE_SIZE / 2)
/* A payload is below 12 kB: the answer's buffer holds no more. */
#define MAX_SIGNED_SIZE 20480

struct NSMEvidence {
    gnutls_privkey_t key;
    GBytes *leaf;
    GPtrArray *bundle;
};

static GBytes *read_file(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    char *data = NULL;
    gsize size = 0;

    return g_file_get_contents(path, &data, &size, NULL) ? g_bytes_new_take(data, size) : NULL;
}

static bool load_key(NSMEvidence *evidence, const char *directory)
{
    g_autoptr(GBytes) pem = read_file(directory, "key.pem");
    gnutls_datum_t datum;
    gsize size = 0;

    if (!pem) {
        return false;
    }
    datum.data = (unsigned char *)g_bytes_get_data(pem, &size);
    datum.size = size;
    return gnutls_privkey_init(&evidence->key) >= 0 &&
           gnutls_privkey_import_x509_raw(evidence->key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0) >= 0;
}

NSMEvidence *nsm_evidence_load(const char *directory, Error **errp)
{
    NSMEvidence *evidence = g_new0(NSMEvidence, 1);

    evidence->bundle = g_ptr_array_new();
    evidence->leaf = read_file(directory, "leaf.der");
    for (int i = 0; i < MAX_BUNDLE; i++) {
        g_autofree char *name = g_strdup_printf("bundle-%d.der", i);
        GBytes *issuer = read_file(directory, name);

        if (!issuer) {
            break;
        }
        g_ptr_array_add(evidence->bundle, issuer);
    }
    if (!evidence->leaf || evidence->bundle->len == 0 || !load_key(evidence, directory)) {
        /* The machine does not start: nothing is left to free it for. */
        error_setg(errp, "%s holds no key.pem, leaf.der and bundle-0.der of a security module", directory);
        return NULL;
    }
    return evidence;
}

static cbor_item_t *bytestring_of(GBytes *bytes)
{
    gsize size = 0;
    const void *data = g_bytes_get_data(bytes, &size);

    return cbor_build_bytestring(data, size);
}

bool nsm_evidence_add_certificates(const NSMEvidence *evidence, cbor_item_t *payload)
{
    gsize size = 0;
    const void *leaf = g_bytes_get_data(evidence->leaf, &size);
    cbor_item_t *bundle = cbor_new_definite_array(evidence->bundle->len);

    for (guint i = 0; i < evidence->bundle->len; i++) {
        if (!qemu_cbor_array_push(bundle, bytestring_of(g_ptr_array_index(evidence->bundle, i)))) {
            return false;
        }
    }
    return qemu_cbor_add_bytestring_to_map(payload, "certificate", (uint8_t *)leaf, size) &&
           qemu_cbor_map_add(payload, cbor_build_string("cabundle"), bundle);
}

/* A number of an ASN.1 signature, which may be shorter or begin with a zero byte, as 48 bytes. */
static bool write_coordinate(const gnutls_datum_t *number, uint8_t *into)
{
    const uint8_t *from = number->data;
    size_t size = number->size;

    while (size > 0 && *from == 0) {
        from++;
        size--;
    }
    if (size > COORDINATE_SIZE) {
        return false;
    }
    memset(into, 0, COORDINATE_SIZE - size);
    memcpy(into + COORDINATE_SIZE - size, from, size);
    return true;
}

static bool sign_bytes(const NSMEvidence *evidence, uint8_t *bytes, size_t size, uint8_t *signature)
{
    gnutls_datum_t message = { bytes, size };
    gnutls_datum_t asn1 = { NULL, 0 }, r = { NULL, 0 }, s = { NULL, 0 };
    bool signed_well = gnutls_privkey_sign_data2(evidence->key, GNUTLS_SIGN_ECDSA_SHA384, 0, &message, &asn1) >= 0 &&
                       gnutls_decode_rs_value(&asn1, &r, &s) >= 0 && write_coordinate(&r, signature) &&
                       write_coordinate(&s, signature + COORDINATE_SIZE);

    gnutls_free(asn1.data);
    gnutls_free(r.data);
    gnutls_free(s.data);
    return signed_well;
}

bool nsm_evidence_sign(const NSMEvidence *evidence, cbor_item_t *protected_header, cbor_item_t *payload,
                       uint8_t signature[NSM_SIGNATURE_SIZE])
{
    g_autofree uint8_t *bytes = g_malloc(MAX_SIGNED_SIZE);
    cbor_item_t *structure = cbor_new_definite_array(4);
    size_t size = 0;

    if (qemu_cbor_array_push(structure, cbor_build_string("Signature1")) &&
        qemu_cbor_array_push(structure, cbor_build_bytestring(cbor_bytestring_handle(protected_header),
                                                              cbor_bytestring_length(protected_header))) &&
        qemu_cbor_array_push(structure, cbor_build_bytestring(bytes, 0)) &&
        qemu_cbor_array_push(structure, cbor_build_bytestring(cbor_bytestring_handle(payload),
                                                              cbor_bytestring_length(payload)))) {
        size = cbor_serialize(structure, bytes, MAX_SIGNED_SIZE);
    }
    cbor_decref(&structure);
    return size > 0 && sign_bytes(evidence, bytes, size, signature);
}
