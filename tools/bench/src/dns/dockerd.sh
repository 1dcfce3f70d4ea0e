#!/bin/sh
# Runs Docker's daemon in namespaces of its own, and two containers of one network in it: `name0`, and one whose
# resolver is asked. Prints the process id, on the host, of the latter. Ends when its standard input does.
# Usage: unshare --mount --net --pid --fork --kill-child --cgroup --uts --ipc dockerd.sh ROOT FOLDER
set -e
root=$1
folder=$2
mount --make-rprivate /
# Of the host, process ids are read here; those in here come at /proc.
mkdir -p "$folder/host-proc" "$folder/data" "$folder/exec"
mount --bind /proc "$folder/host-proc"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
ip link set lo up
export PATH="$root/usr/sbin:$root/usr/bin:$PATH"
LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'libdevmapper*' | head -n 1)")
export LD_LIBRARY_PATH
export DOCKER_HOST=unix:///run/docker.sock
dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile /run/docker.pid --host "$DOCKER_HOST" \
  --storage-driver vfs --ip-masq=false --bridge none >"$folder/dockerd.log" 2>&1 </dev/null &
tries=0
until docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  test $tries -lt 100
  sleep 0.2
done
tar c -T /dev/null | docker import - empty >/dev/null
docker network create bench >/dev/null
for name in name0 asker; do
  docker run --detach --name $name --network bench --volume /usr:/usr:ro --volume /lib:/lib:ro \
    --volume /lib64:/lib64:ro --volume /bin:/bin:ro empty /bin/sleep infinity >/dev/null
done
# The process that is to be found is the one whose network is the container's.
inode=$(readlink "/proc/$(docker inspect --format '{{.State.Pid}}' asker)/ns/net")
for path in "$folder"/host-proc/[0-9]*; do
  if [ "$(readlink "$path/ns/net" 2>/dev/null)" = "$inode" ]; then
    echo "ready ${path##*/} $(cat /run/docker.pid)"
    break
  fi
done
read -r _ || true
docker rm --force name0 asker >/dev/null
kill "$(cat /run/docker.pid)"
wait
rmdir /sys/fs/cgroup/docker 2>/dev/null || true
