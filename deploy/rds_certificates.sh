#!/usr/bin/env bash
# Fetches the certificates of RDS's authorities into deploy/rds-certificates.pem, from where the build of the
# image takes them: tasks connect with sslmode=verify-full, and have no way to fetch anything.
set -euo pipefail
cd "$(dirname "$0")"

url=${RDS_CERTIFICATES_URL:-https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem}
file=rds-certificates.pem
fresh=$(mktemp "$file.XXXXXX")
trap 'rm -f "$fresh"' EXIT
curl --fail --silent --show-error --location --retry 3 --max-time 60 --output "$fresh" "$url"
# Another file in its place would let another server pass for ours, or none at all.
python3 - "$fresh" <<'PYTHON'
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
try:
    context.load_verify_locations(sys.argv[1])
except ssl.SSLError:
    sys.exit("The file that was downloaded holds no certificates. Check the address, and any proxy in between.")
subjects = [dict(pair for part in one["subject"] for pair in part) for one in context.get_ca_certs()]
strange = [one for one in subjects if not one.get("organizationName", "").startswith("Amazon Web Services")]
if not subjects or strange:
    sys.exit(f"The file that was downloaded holds certificates that are not those of RDS: {strange}. Do not use it.")
print(f"{len(subjects)} certificates of RDS")
PYTHON
chmod 644 "$fresh"
mv "$fresh" "$file"
