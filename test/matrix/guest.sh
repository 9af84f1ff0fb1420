#!/debian/busybox sh
# The first process of a guest: makes a small world of v2's freezer alone, runs
# the tests there, and powers off.
[ -e /bin ] || { /debian/busybox mkdir /bin && /debian/busybox --install -s /bin; }
export PATH=/usr/bin:/bin HOME=/

# The kernel's first file system can't be left by pivot_root, as containers do.
if [ "$1" != again ]; then
	mkdir /world
	mount -t tmpfs -o mode=755 world /world
	cp -a /debian/root/. /world
	rm -r /debian/root
	cp -a /bin /debian /work /init /world
	exec switch_root /world /init again
fi

mkdir -p /proc /sys /dev /tmp /run /etc
chmod 1777 /tmp
[ -e /bin/busybox ] || ln -s /debian/busybox /bin/busybox
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
ip link set lo up
mkdir -p "/lib/modules/$(uname -r)"
mv /debian/modules/*.ko "/lib/modules/$(uname -r)"
depmod
echo /bin/modprobe >/proc/sys/kernel/modprobe
modprobe loop
# When several targets want it at once, busybox's modprobe comes back to all but the
# first before it is there.
modprobe veth
# Modules for tunnels put an interface into every namespace, whoever looks at it just then.
echo 1 >/proc/sys/net/core/fb_tunnels_only_for_init_net
mkdir /dev/net && mknod /dev/net/tun c 10 200
echo 8 >/proc/sys/vm/nr_hugepages
dd if=/dev/zero of=/swap bs=1M count=32 2>/dev/null # a file of a tmpfs can't be swapped to
losetup /dev/loop7 /swap && mkswap /dev/loop7 >/dev/null && swapon /dev/loop7

echo "matrix: kernel $(uname -r)"
export LXC_CHECKPOINT_BIN=/work/bin LXC_CHECKPOINT_TARGETS=/work/targets LXC_CHECKPOINT_SERVER=/work/targets/server LXC_CHECKPOINT_SLOW=10
if [ -e /work/travel ]; then
	export LXC_CHECKPOINT_TRAVEL=/tmp/travel
	mkdir $LXC_CHECKPOINT_TRAVEL
	[ -s /work/travel ] && tar -xz -C $LXC_CHECKPOINT_TRAVEL -f /work/travel
fi
set -f
code=0
for tests in targets programs; do
	cd /work/test/$tests || code=1
	# shellcheck disable=SC2046
	./tests $(cat /work/arguments) || code=$?
done
echo "matrix: exit $code"
if [ -e /work/travel ] && [ ! -s /work/travel ]; then
	stty raw </dev/ttyS1
	tar -cz -C $LXC_CHECKPOINT_TRAVEL . >/dev/ttyS1
fi
poweroff -f
