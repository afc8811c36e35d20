#!/bin/sh
# deploy.sh VERSION: bring a version to one machine after the other, and stop at the first one that does not get ready.
set -eu
version=$1
for machine in web1 web2 web3; do
    # restart waits for the end of the old server, which takes requests until HAProxy has gone elsewhere (drain_delay).
    # ready ends with 0 when the new one wants requests, and with another status after 60 seconds.
    ssh "$machine" "/srv/shop/install $version && systemctl restart waitressd-shop &&
        /srv/shop/venv/bin/waitressd ready --wait=60 /srv/shop/production.ini"
    echo "$machine has $version"
done
