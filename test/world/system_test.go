package world

// ipc are System V's objects, and POSIX message queues.
var ipc = []fixture{
	{name: "shared memory",
		setup: `ipcmk -M 10000 -p 640; ipcmk -M 5000000 -p 600; chown 12:34 /dev/shm`,
		look:  `ipcs -m; ipcs -m -l; ipcs -m -c`},
	{name: "semaphores",
		setup: `ipcmk -S 7 -p 604; ipcmk -S 1`,
		look:  `ipcs -s; ipcs -s -c; for i in $(ipcs -s | grep -o '^0x[0-9a-f]* *[0-9]*' | sed 's/.* //'); do ipcs -s -i $i | grep -E '^(uid|mode|nsems|[0-9])'; done; busybox cut -c 1-80 /proc/sysvipc/sem`,
		but:   []difference{but(`(?m)^((?:\S+ +){4})\d+ *$`, "the process that changed it last is not kept")}},
	{name: "message queues",
		setup: `ipcmk -Q -p 644; ipcmk -Q -p 600; ipcrm -q 0; ipcmk -Q`,
		look:  `ipcs -q; ipcs -q -c; cat /proc/sys/kernel/msg_next_id`},
	{name: "numbers",
		setup: `for i in 1 2 3; do ipcmk -M 100; done; ipcrm -m $(ipcs -m | grep -o '^0x[0-9a-f]* *[0-9]*' | sed -n 's/.* //;2p'); ipcmk -M 200`,
		look:  `busybox awk '{print $1, $2, $3, $4, $7, $8, $9, $10, $11}' /proc/sysvipc/shm`},
	{name: "limits of System V",
		setup: `cd /proc/sys/kernel; echo 100000000 >shmmax; echo 12345 >shmall; echo 77 >shmmni; echo 9000 >msgmax; echo 99 >msgmni; echo 20000 >msgmnb; echo "300 40000 50 150" >sem; echo 0 >auto_msgmni`,
		look:  `cd /proc/sys/kernel; grep -H . shm* msg* sem auto_msgmni`},
	{name: "limits of message queues",
		setup: `cd /proc/sys/fs/mqueue; echo 20 >msg_max; echo 9000 >msgsize_max; echo 99 >queues_max; echo 5 >msg_default; echo 4000 >msgsize_default`,
		look:  `grep -H . /proc/sys/fs/mqueue/*`},
	{name: "files in /dev/shm",
		setup: `cd /dev/shm; dd if=/dev/urandom of=segment bs=1000 count=100 2>/dev/null; chmod 600 segment; echo x >sem.name; mkdir -m 1777 d`,
		look:  `tree /dev/shm; mounts /dev/shm self`},
	{name: "POSIX message queues",
		setup: `cd /dev/mqueue; : >plain; (umask 0; : >open); chown 12:34 open; chmod 640 open`,
		look:  `cd /dev/mqueue; stat -c '%n %a %u:%g' *; cat *`},
}

// sysctls are those that a namespace has, and the names of the host.
var sysctls = []fixture{
	{name: "host name",
		setup: `hostname some-other.name`,
		look:  `hostname; cat /proc/sys/kernel/hostname; busybox uname -n`},
	{name: "domain name",
		setup: `echo example.org >/proc/sys/kernel/domainname`,
		look:  `cat /proc/sys/kernel/domainname`},
	{name: "IPC",
		setup: `sysctl -qw kernel.shmmni=777 kernel.msgmnb=33333 "kernel.sem=100 20000 30 40"`,
		look:  `sysctl kernel.shmmni kernel.msgmnb kernel.sem kernel.shmmax kernel.msgmax`},
	{name: "TCP",
		setup: `sysctl -qw net.ipv4.tcp_keepalive_time=99 net.ipv4.tcp_fin_timeout=9 net.ipv4.tcp_ecn=1 net.ipv4.tcp_mtu_probing=2 net.ipv4.tcp_max_syn_backlog=77 net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_congestion_control=reno`,
		look:  `sysctl -a 2>/dev/null | grep -E '^net.ipv4.(tcp|udp)' | grep -v -E 'fastopen_key|tcp_available|tcp_mem|udp_mem|challenge'`},
	{name: "IPv6",
		setup: `sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.all.accept_redirects=0 net.ipv6.conf.lo.hop_limit=9 net.ipv6.flowlabel_consistency=0 net.ipv6.route.max_size=5000 net.ipv6.icmp.ratelimit=77`,
		look:  `sysctl -a 2>/dev/null | grep -E '^net.ipv6' | grep -v stable_secret`},
	{name: "netfilter",
		setup: `nft add table ip tracked; nft add chain ip tracked c '{ type filter hook input priority 0; }'; nft add rule ip tracked c ct state established accept; sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=999 net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_udp_timeout=33`,
		look:  `sysctl -a 2>/dev/null | grep -E '^net.netfilter' | grep -v -E 'conntrack_(count|buckets|max)'`},
	{name: "UNIX sockets and core",
		setup: `sysctl -qw net.unix.max_dgram_qlen=77 net.core.somaxconn=88`,
		look:  `sysctl net.unix.max_dgram_qlen net.core.somaxconn`},
	{name: "ports and pings",
		setup: `sysctl -qw "net.ipv4.ip_local_port_range=2000 3000" "net.ipv4.ping_group_range=5 6" net.ipv4.ip_unprivileged_port_start=20 net.ipv4.ip_local_reserved_ports=2100-2110 net.ipv4.ip_nonlocal_bind=1`,
		look:  `sysctl net.ipv4.ip_local_port_range net.ipv4.ping_group_range net.ipv4.ip_unprivileged_port_start net.ipv4.ip_local_reserved_ports net.ipv4.ip_nonlocal_bind`},
}

// v2at mounts the container's cgroups of v2.
const v2at = `mkdir -p /mnt/v2; grep -q ' /mnt/v2 ' /proc/mounts || mount -t cgroup2 none /mnt/v2 || skip "no cgroups of v2"; cd /mnt/v2; `

// v1at mounts those of a controller of v1.
func v1at(controller string) string {
	return `mkdir -p /mnt/` + controller + `; grep -q ' /mnt/` + controller + ` ' /proc/mounts || mount -t cgroup -o ` + controller + ` none /mnt/` + controller + ` || skip "no such controller of v1"; cd /mnt/` + controller + `; `
}

var cgroups = []fixture{
	{name: "v2: tree with processes", v2: true,
		setup: v2at + `mkdir -p a/b a/c "d e@1.service"; sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >a/b/cgroup.procs; echo $! >/home/inb`,
		look:  `cd /mnt/v2 2>/dev/null; find . -type d | sort; cat a/b/cgroup.procs; grep ^0: /proc/$(pid inb)/cgroup`},
	{name: "v2: limits", v2: true,
		setup: v2at + `mkdir limits; echo 5 >limits/cgroup.max.depth; echo 6 >limits/cgroup.max.descendants; echo 1 >limits/cgroup.freeze`,
		look:  `cd /mnt/v2/limits && grep . cgroup.max.depth cgroup.max.descendants cgroup.freeze cgroup.type`,
		after: `echo 0 >/mnt/v2/limits/cgroup.freeze`},
	{name: "v2: delegation", v2: true,
		setup: v2at + `mkdir deleg; chown 12:34 deleg deleg/cgroup.procs deleg/cgroup.threads; chmod 700 deleg; chmod 600 deleg/cgroup.procs; setfattr -n user.delegate -v 1 deleg || true; setfattr -n trusted.invocation -v abc deleg`,
		look:  `cd /mnt/v2 2>/dev/null; stat -c '%n %a %u:%g' deleg deleg/cgroup.procs deleg/cgroup.threads deleg/cgroup.subtree_control; getfattr -d -m - deleg`},
	{name: "v2: threads", v2: true,
		setup: v2at + `mkdir -p threaded/t; echo threaded >threaded/t/cgroup.type`,
		look:  `cd /mnt/v2 2>/dev/null; grep . threaded/cgroup.type threaded/t/cgroup.type`},
	{name: "v1: memory", v1: true,
		setup: v1at("memory") + `mkdir m; echo 50000000 >m/memory.limit_in_bytes; echo 40000000 >m/memory.soft_limit_in_bytes; echo 33 >m/memory.swappiness; sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >m/cgroup.procs`,
		look:  `cd /mnt/memory/m && grep . memory.limit_in_bytes memory.soft_limit_in_bytes memory.swappiness memory.use_hierarchy cgroup.procs`},
	{name: "v1: cpu", v1: true,
		setup: v1at("cpu") + `mkdir c; echo 333 >c/cpu.shares; echo 50000 >c/cpu.cfs_quota_us 2>/dev/null || true`,
		look:  `cd /mnt/cpu/c && grep . cpu.shares cpu.cfs_quota_us cpu.cfs_period_us`},
	{name: "v1: pids", v1: true,
		setup: v1at("pids") + `mkdir -p p/q; echo 77 >p/pids.max; echo 7 >p/q/pids.max; chown 5:6 p/q`,
		look:  `cd /mnt/pids/p && grep . pids.max q/pids.max && stat -c '%u:%g %a' q`},
	{name: "v1: devices", v1: true,
		setup: v1at("devices") + `mkdir d; echo 'a *:* rwm' >d/devices.deny; echo 'c 1:3 rw' >d/devices.allow; echo 'b 7:* m' >d/devices.allow`,
		look:  `cat /mnt/devices/d/devices.list`},
	{name: "v1: cpuset", v1: true,
		setup: v1at("cpuset") + `mkdir s; echo 0 >s/cpuset.cpus; echo 0 >s/cpuset.mems; echo 1 >s/cpuset.cpu_exclusive 2>/dev/null || true; echo 1 >s/cpuset.memory_migrate`,
		look:  `cd /mnt/cpuset/s && grep . cpuset.cpus cpuset.mems cpuset.memory_migrate cpuset.cpu_exclusive`},
	{name: "v1: a named hierarchy", v1: true,
		setup: v1at("name=systemd") + `mkdir -p user.slice/session; sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >user.slice/session/cgroup.procs`,
		look:  `cd /mnt/name=systemd && find . -type d | sort && cat user.slice/session/cgroup.procs`},
	{name: "where the processes are",
		setup: `sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >/home/where`,
		look:  `cat /proc/$(pid where)/cgroup; cat /proc/1/cgroup; mounts /sys/fs/cgroup self`},
}
