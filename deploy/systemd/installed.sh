#!/bin/sh
# After a package has been installed or upgraded. The service is not enabled: its settings come first. One that runs is
# restarted with the new program.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers millrace.conf
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart millrace.service
fi
