package world

// mounted are namespaces that are mounted, with and without a process in them.
var mounted = []fixture{
	{name: "ip netns",
		setup: `ip netns add blue; ip netns exec blue sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link add nsb0 type veth peer name eth0 netns blue; ip -n blue link set lo up; ip -n blue addr add 10.77.0.2/24 dev eth0; ip -n blue link set eth0 up; ip addr add 10.77.0.1/24 dev nsb0; ip link set nsb0 up; ip -n blue route add 10.78.0.0/16 via 10.77.0.1; ip netns exec blue sysctl -qw net.ipv4.ip_forward=1; ip netns exec blue nft add table inet blue; ip netns add empty`,
		look:  `mounts /run/netns self; ip netns list | sed 's/ (.*//' | sort; ip -j -d -n blue addr; ip -j -n blue route; ip netns exec blue sh -c 'sysctl net.ipv4.ip_forward; nft list tables'; ip -n empty addr`,
		but:   []difference{but(`net:.\d+.`, "a namespace has the number that the kernel gives it"), but(`"link_index":\d+`, "the number of the other end"), but(`"stats[^}]*}`, "counters")},
		after: `ip netns exec blue busybox ping -c 1 -W 5 10.77.0.1 >/dev/null; ip netns del empty; [ ! -e /run/netns/empty ]; ip netns add again; ip netns del again; ip netns del blue; for i in $(seq 100); do ip link show dev nsb0 >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1`},
	{name: "ip netns, with a process in it",
		setup: `ip netns add red; ip -n red addr add 10.80.0.1/24 dev lo; ip -n red link set lo up; setsid ip netns exec red sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >/home/red; for i in $(seq 200); do [ "$(cat /proc/$!/comm)" = sleep ] && exit; sleep 0.05; done; exit 1`,
		look:  `mounts /run/netns/red self; ip -j -n red addr; [ $(stat -Lc %i /run/netns/red) = $(stat -Lc %i /proc/$(pid red)/ns/net) ] && echo the same; ls /proc/$(pid red)/root/run/netns | grep red`,
		but:   []difference{but(`net:.\d+.`, "a namespace has the number that the kernel gives it")},
		after: `ip netns pids red | grep -q $(pid red)`},
	{name: "other kinds",
		setup: `mkdir -p /mnt/kept; mount -t tmpfs --make-private kept /mnt/kept; cd /mnt/kept; touch uts ipc user; unshare --uts=/mnt/kept/uts hostname inner; unshare --ipc=/mnt/kept/ipc sysctl -qw kernel.msgmax=777; unshare --user --map-root-user sleep 5 & for i in $(seq 100); do [ "$(cat /proc/$!/comm)" = sleep ] && break; sleep 0.05; done; mount --bind /proc/$!/ns/user user; kill $!; mkdir copies; touch copies/uts; mount --bind uts copies/uts; mount -o remount,bind,ro copies/uts`,
		look:  `mounts /mnt/kept self; cd /mnt/kept; nsenter --uts=uts hostname; nsenter --ipc=ipc sysctl kernel.msgmax; nsenter --user=user cat /proc/self/uid_map; [ $(stat -Lc %i uts) = $(stat -Lc %i copies/uts) ] && echo the same`,
		but:   []difference{but(`(uts|ipc|user):.\d+.`, "a namespace has the number that the kernel gives it")},
		after: `cd /mnt/kept; nsenter --uts=uts hostname other; [ $(nsenter --uts=copies/uts hostname) = other ]; umount uts`},
	{name: "of processes",
		setup: `mkdir -p /mnt/full; mount -t tmpfs --make-private full /mnt/full; cd /mnt/full; touch pid; setsid unshare --pid=/mnt/full/pid --fork sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >/home/keptpid; for i in $(seq 200); do [ "$(cat /proc/$!/task/$!/children)" ] && [ "$(stat -c %i /mnt/full/pid)" != 0 ] && mount | grep -q /mnt/full/pid && exit; sleep 0.05; done; exit 1`,
		look:  `mounts /mnt/full self; cd /mnt/full; [ "$(stat -Lc %i pid)" = "$(stat -Lc %i /proc/$(pid keptpid)/ns/pid_for_children)" ] && echo the same`,
		but:   []difference{but(`pid:.\d+.`, "a namespace has the number that the kernel gives it")},
		after: `cd /mnt/full; nsenter --pid=pid ls`},
}
