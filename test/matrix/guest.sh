#!/debian/busybox sh
# The first process of a guest: makes a small world of v2's freezer alone, runs
# the tests there, and powers off.
[ -e /bin ] || { /debian/busybox mkdir /bin && /debian/busybox --install -s /bin; }

# The kernel's first file system can't be left by pivot_root, as containers do.
if [ "$1" != again ]; then
	mkdir /world
	mount -t tmpfs -o mode=755 world /world
	cp -a /bin /debian /work /init /world
	exec switch_root /world /init again
fi

mkdir -p /proc /sys /dev /tmp /run
chmod 1777 /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
ip link set lo up
for module in /debian/*.ko; do
	insmod "$module"
done
echo 8 >/proc/sys/vm/nr_hugepages

echo "matrix: kernel $(uname -r)"
cd /work/test
export HOME=/ LXC_CHECKPOINT_BIN=/work/bin LXC_CHECKPOINT_TARGETS=/work/targets LXC_CHECKPOINT_SLOW=10
if [ -e /work/travel ]; then
	export LXC_CHECKPOINT_TRAVEL=/tmp/travel
	mkdir $LXC_CHECKPOINT_TRAVEL
	[ -s /work/travel ] && tar -xz -C $LXC_CHECKPOINT_TRAVEL -f /work/travel
fi
set -f
# shellcheck disable=SC2046
./targets.test $(cat ../arguments)
echo "matrix: exit $?"
if [ -e /work/travel ] && [ ! -s /work/travel ]; then
	stty raw </dev/ttyS1
	tar -cz -C $LXC_CHECKPOINT_TRAVEL . >/dev/ttyS1
fi
poweroff -f
