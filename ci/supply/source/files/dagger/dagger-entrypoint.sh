#!/bin/sh
# Entrypoint of the engine's image.
set -eu

# The engine starts containers below itself. With cgroup v2 a group that has processes cannot hand controllers to groups
# below it, so the processes already here move aside first.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
	mkdir -p /sys/fs/cgroup/init
	while read -r process; do
		echo "$process" >/sys/fs/cgroup/init/cgroup.procs || : # it may have ended
	done </sys/fs/cgroup/cgroup.procs
	controllers=
	for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
		controllers="$controllers +$controller"
	done
	echo "$controllers" >/sys/fs/cgroup/cgroup.subtree_control
fi

exec /usr/local/bin/dagger-engine "$@"
