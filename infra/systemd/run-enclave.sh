#!/bin/sh
# Runs an enclave image until it ends: nitro-cli starts it and returns, so this waits for it to be gone.
set -eu
EIF=$1
NAME=kms
CID=16

running() { nitro-cli describe-enclaves | grep -q "\"EnclaveName\": \"$NAME\""; }
stop() { nitro-cli terminate-enclave --enclave-name "$NAME" || true; exit 0; }

# One that a former run of this script left behind.
if running; then nitro-cli terminate-enclave --enclave-name "$NAME"; fi
trap stop TERM INT
# Never with --debug-mode: its registers are zero and no network allows them.
nitro-cli run-enclave --enclave-name "$NAME" --eif-path "$EIF" --enclave-cid "$CID" --cpu-count 2 --memory 4096
while running; do sleep 2; done
echo "the enclave has ended" >&2
exit 1
