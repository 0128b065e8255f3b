#!/usr/bin/env bash
# Makes the secrets of docker-compose.yml in var/compose/, once; what is there already stays as it is.
# The folder is closed to others; the files are readable for all, since each service reads its own as a
# user of its own. A service sees only the files that docker-compose.yml gives it.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=var/compose
mkdir -p var
mkdir -p -m 700 "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

write() { # NAME, the content from standard input
    if [ -s "$folder/$1" ]; then
        cat >/dev/null
        return
    fi
    cat >"$folder/.$1.new"
    chmod 444 "$folder/.$1.new"
    mv "$folder/.$1.new" "$folder/$1"
    echo "made $folder/$1"
}

for name in database_password postgres_password metabase_db_password metabase_encryption_key \
            metabase_admin_password s3_secret_key; do
    random | write "$name"
done
printf shs | write s3_access_key
# The one user of the S3 server, with rights on one bucket.
write s3_identities.json <<IDENTITIES
{"identities": [{"name": "shs",
  "credentials": [{"accessKey": "$(cat "$folder/s3_access_key")", "secretKey": "$(cat "$folder/s3_secret_key")"}],
  "actions": ["Admin:landing", "Read:landing", "List:landing", "Write:landing", "Tagging:landing"]}]}
IDENTITIES
