#!/bin/sh
# Before a package is removed (deb: "remove", rpm: 0), not before it is replaced by another version.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now millrace.service
	fi
	;;
esac
