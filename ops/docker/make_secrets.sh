#!/bin/sh
# Makes the secrets that docker-compose.yml reads, once; those that exist stay. The folder is closed to other accounts,
# the files in it are not: the accounts inside the containers, which have other ids, must be able to read them.
set -eu
folder="$(dirname "$0")/secrets"
chmod 700 "$folder"
for name in postgres_password api_token grafana_password; do
    [ -s "$folder/$name" ] && continue
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$folder/$name"
    chmod 644 "$folder/$name"
    echo "made $folder/$name"
done
