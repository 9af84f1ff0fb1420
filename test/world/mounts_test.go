package world

// mounts are those of the container's first mount namespace. Each fixture has a
// directory of its own below /mnt.
var mounts = []fixture{
	{name: "options of tmpfs",
		setup: `mkdir /mnt/options; mount -t tmpfs -o size=3m,nr_inodes=500,mode=1750,uid=12,gid=34,nosuid,nodev,noexec,noatime some:name /mnt/options`,
		look:  `mounts /mnt/options self; stat -c '%a %u %g' /mnt/options; stat -f -c '%b %c' /mnt/options`,
		after: `! dd if=/dev/zero of=/mnt/options/f bs=1M count=4 2>/dev/null`},
	{name: "shared",
		setup: `mkdir /mnt/shared; mount -t tmpfs a /mnt/shared; mount --make-shared /mnt/shared; cd /mnt/shared; mkdir a b
			mount -t tmpfs in a; mount --make-rshared /mnt/shared; mount --bind a b; mkdir a/sub; mount -t ramfs sub a/sub`,
		look:  `mounts /mnt/shared self`,
		after: `cd /mnt/shared; mkdir b/late; mount -t tmpfs late b/late; touch a/late/proof; umount a/late; [ ! -e b/late/proof ]`},
	{name: "slave",
		setup: `mkdir /mnt/slave; mount -t tmpfs a /mnt/slave; mount --make-private /mnt/slave; cd /mnt/slave; mkdir master slave both
			mount -t tmpfs m master; mount --make-shared master; mount --bind master slave; mount --make-slave slave
			mount --bind master both; mount --make-slave both; mount --make-shared both; mkdir master/m; mount -t tmpfs mm master/m`,
		look:  `mounts /mnt/slave self`,
		after: `cd /mnt/slave; mkdir master/late; mount -t tmpfs late master/late; touch master/late/proof; [ -e slave/late/proof ]; [ -e both/late/proof ]; mkdir slave/own; mount -t tmpfs own slave/own; touch slave/own/x; [ ! -e master/own/x ]`},
	{name: "private and unbindable",
		setup: `mkdir /mnt/unbindable; mount -t tmpfs a /mnt/unbindable; mount --make-private /mnt/unbindable; cd /mnt/unbindable; mkdir un un/bind private copy
			mount -t tmpfs u un; mount --make-unbindable un; mount -t tmpfs p private; mount --make-private private; mount --rbind . copy`,
		look:  `mounts /mnt/unbindable self`,
		after: `! mount --bind /mnt/unbindable/un /mnt/unbindable/copy 2>/dev/null`},
	{name: "binds of directories and files",
		setup: `mkdir -p /mnt/binds/d /mnt/binds/from/deep; cd /mnt/binds; echo text >from/file; echo x >f; echo y >g; mount --bind from/deep d
			mount --bind from/file f; mount --bind /bin/sh g; mount --bind f f; mount -t tmpfs t from/deep; touch from/deep/only`,
		look: `mounts /mnt/binds self; cat /mnt/binds/f; ls /mnt/binds/d /mnt/binds/from/deep; sha256sum /mnt/binds/g`,
		after: `cd /mnt/binds; echo more >>f; [ "$(cat from/file)" = "text
more" ]`},
	{name: "flags of single mounts",
		setup: `mkdir /mnt/flags; mount -t tmpfs a /mnt/flags; cd /mnt/flags; for o in nosuid nodev noexec noatime nodiratime strictatime nosymfollow relatime,ro; do mkdir $o; mount --bind . $o; mount -o remount,bind,$o $o; done`,
		look:  `mounts /mnt/flags self`},
	{name: "tmpfs in tmpfs",
		setup: `mkdir /mnt/nested; cd /mnt/nested; for i in 1 2 3 4 5; do mount -t tmpfs -o size=${i}m n$i .; cd /mnt/nested; while [ -d in ]; do cd in; done; mkdir in; echo $i >file; cd in; done; mkdir -p /mnt/nested/copy; mount --rbind /mnt/nested/in /mnt/nested/copy`,
		look:  `mounts /mnt/nested self; find /mnt/nested -type f -exec grep -H . {} + | sort`},
	{name: "devpts",
		setup: `mkdir -p /mnt/pts/a /mnt/pts/b /mnt/pts/c; mount -t devpts -o newinstance,ptmxmode=600,mode=640,gid=7,max=5 one /mnt/pts/a; mount -t devpts -o uid=9,gid=8 two /mnt/pts/b; mount --bind /dev/pts /mnt/pts/c`,
		look:  `mounts /mnt/pts self; for d in a b c; do (cd /mnt/pts/$d; stat -c '%n %a %u %g %t:%T' .  ptmx); done`,
		after: `exec 3<>/mnt/pts/a/ptmx; [ $(stat -c %a /mnt/pts/a/0) = 640 ]`},
	{name: "mqueue",
		setup: `mkdir /mnt/mqueue; mount -t mqueue -o nosuid,noexec q /mnt/mqueue`,
		look:  `mounts /mnt/mqueue self; stat -c %a /mnt/mqueue`,
		but:   []difference{but(`mqueue (q|mqueue|none) `, "one file system has one source; a second mount's name is not kept")}},
	{name: "proc with hidepid",
		setup: `mkdir -p /mnt/proc/hide /mnt/proc/pid /mnt/proc/file; mount -t proc -o hidepid=2,gid=77,nosuid h /mnt/proc/hide; mount -t proc -o subset=pid p /mnt/proc/pid; touch /mnt/proc/cmdline; mount --bind /proc/cmdline /mnt/proc/cmdline; mount --bind /proc/sys /mnt/proc/file; mount -o remount,bind,ro /mnt/proc/file`,
		look:  `mounts /mnt/proc self; ls /mnt/proc/pid | grep -v '^[0-9]'; ls /mnt/proc/hide/1/comm`},
	{name: "sysfs, ramfs",
		setup: `mkdir -p /mnt/kinds/sys /mnt/kinds/ram; mount -t sysfs -o ro,nosuid s /mnt/kinds/sys; mount -t ramfs -o mode=711 r /mnt/kinds/ram; mkdir /mnt/kinds/ram/d; ln -s d /mnt/kinds/ram/l; printf x >/mnt/kinds/ram/f`,
		look:  `mounts /mnt/kinds self; tree /mnt/kinds/ram; ls /mnt/kinds/sys/class/net`,
		but:   []difference{but(` sysfs \S+ `, "one file system has one source; a second mount's name is not kept")}},
	{name: "odd names",
		setup: `mkdir /mnt/odd; mount -t tmpfs a /mnt/odd; cd /mnt/odd; n=$(printf 'a b\tc\nd\\e#f\303\244\377'); mkdir "$n"; mount -t tmpfs "with space" "$n"; mkdir "$n/x"; mount --bind "$n/x" "$n/x"`,
		look:  `mounts /mnt/odd self`},
	{name: "moved",
		setup: `mkdir /mnt/moved; mount -t tmpfs a /mnt/moved; mount --make-private /mnt/moved; cd /mnt/moved; mkdir a b; mount -t tmpfs m a; mkdir a/in; mount -t tmpfs in a/in; echo x >a/in/file; mount --move a b`,
		look:  `mounts /mnt/moved self; cat /mnt/moved/b/in/file`},
}

// services are processes in mount namespaces of their own.
var services = []fixture{
	{name: "private /tmp",
		setup: `mkdir -p /run/private; service private 'mount --make-rslave /; mkdir -p /run/private/tmp; mount --bind /run/private/tmp /tmp; mount --bind /run/private/tmp /var/tmp; echo mine >/tmp/file; exec sleep 86400'`,
		look:  `mounts / $(pid private); cat /proc/$(pid private)/root/tmp/file; [ ! -e /tmp/file ]`,
	},
	{name: "propagation between namespaces",
		setup: `mkdir /mnt/prop; mount -t tmpfs a /mnt/prop; mount --make-shared /mnt/prop; mkdir /mnt/prop/in
			service prop 'mount --make-slave /mnt/prop; mount -t tmpfs own /mnt/prop/in; touch /mnt/prop/in/own; exec sleep 86400'; mkdir /mnt/prop/late; mount -t tmpfs late /mnt/prop/late`,
		look:  `mounts /mnt/prop self $(pid prop)`,
		after: `mkdir /mnt/prop/more; mount -t tmpfs more /mnt/prop/more; touch /mnt/prop/more/proof; [ -e /proc/$(pid prop)/root/mnt/prop/more/proof ]`},
	{name: "chroot",
		setup: `mkdir /mnt/jail; mount -t tmpfs jail /mnt/jail; mkdir /mnt/jail/bin /mnt/jail/dev; mknod /mnt/jail/dev/null c 1 3; cp /bin/busybox /mnt/jail/bin/busybox; ln -s busybox /mnt/jail/bin/sleep
			service jail 'cd /mnt/jail; exec chroot . /bin/sleep 86400'`,
		look: `ls -l /proc/$(pid jail)/root/bin; readlink /proc/$(pid jail)/root /proc/$(pid jail)/cwd; mounts / $(pid jail)`},
	{name: "pivot_root",
		setup: `service pivot 'mount --make-rprivate /; mount -t tmpfs newroot /mnt; cd /mnt; mkdir bin dev old proc; cp /bin/busybox bin/busybox; ln -s busybox bin/sleep; mknod dev/null c 1 3; mount -t proc p proc; mount --rbind /bin old; umount old; pivot_root . old; exec /bin/busybox chroot . /bin/busybox sh -c "/bin/busybox umount -l /old; exec /bin/sleep 86400"'`,
		look:  `ls /proc/$(pid pivot)/root /proc/$(pid pivot)/root/old; mounts / $(pid pivot); readlink /proc/$(pid pivot)/root`},
	{name: "two in one namespace",
		setup: `service one 'mount --make-rprivate /; mount -t tmpfs together /mnt; touch /mnt/x; exec sleep 86400'; nsenter -t $(pid one) -m sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >/home/two; sleep 0.1`,
		look:  `mounts /mnt $(pid one) $(pid two); [ $(stat -Lc %i /proc/$(pid one)/ns/mnt) = $(stat -Lc %i /proc/$(pid two)/ns/mnt) ] && echo the same`},
	{name: "a namespace in a namespace",
		setup: `service outer 'mount --make-rprivate /; mount --make-rshared /; mount -t tmpfs outer /mnt; mkdir /mnt/i; unshare -m --propagation slave sh -ec "mount -t tmpfs inner /mnt/i; touch /mnt/i/f; exec sleep 86400" & echo $! >/home/inner; until [ $(cat /proc/$!/comm) = sleep ]; do sleep 0.05; done; mkdir /mnt/l; mount -t tmpfs l /mnt/l; exec sleep 86400'`,
		look:  `mounts /mnt $(pid outer) $(pid inner)`},
	{name: "names and clocks",
		setup: `service names 'hostname other; exec sleep 86400'; unshare -u sh -c 'hostname nested; echo domain >/proc/sys/kernel/domainname; exec sleep 86400' </dev/null >/dev/null 2>&1 & echo $! >/home/uts; sleep 0.2; hostname world`,
		look:  `nsenter -t $(pid uts) -u sh -c 'hostname; cat /proc/sys/kernel/domainname'; hostname`},
}
