package world

// on mounts a tmpfs for a fixture.
func on(name string) string {
	return `mkdir /mnt/` + name + `; mount -t tmpfs t /mnt/` + name + `; cd /mnt/` + name + `; `
}

// trees are files in tmpfs.
var trees = []fixture{
	{name: "files and directories",
		setup: on("files") + `mkdir -p a/b/c; echo x >a/b/c/f; dd if=/dev/urandom of=big bs=100000 count=33 2>/dev/null; : >empty; chown -R 12:34 a/b; chmod 2750 a/b; chmod 4711 big; chmod 0 empty`,
		look:  `tree /mnt/files`},
	{name: "links",
		setup: on("links") + `echo x >f; ln f g; mkdir d; ln f d/h; ln -s f s; ln -s /nowhere/at/all dangling; ln s d/linked; ln -s "$(printf 'odd\nname')" l; chown -h 12:34 s; mknod n c 1 3; ln n n2; mkfifo p; ln p p2`,
		look:  `tree /mnt/links`,
		after: `echo more >>/mnt/links/d/h; grep -q more /mnt/links/g`},
	{name: "devices, FIFOs and sockets",
		setup: on("special") + `mknod null c 1 3; mknod -m 600 disk b 7 5; mknod big c 4000 70000; mkfifo -m 640 fifo; chown 12:34 fifo null; unshare -m sh -ec 'mount --bind . /dev; busybox syslogd -n -O /home/syslog & sleep 0.3; kill $!'`,
		look:  `tree /mnt/special`},
	{name: "extended attributes",
		setup: on("xattrs") + `echo x >f; mkdir d; ln -s f l; setfattr -n trusted.a -v 1 f; setfattr -n trusted.b -v 0s//79 d; setfattr -h -n trusted.l -v link l; setfattr -n trusted.empty f; setfattr -n security.own -v s f
			setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 f; setfattr -n user.u -v x f 2>/dev/null || true`,
		look: `tree /mnt/xattrs`},
	{name: "ACLs",
		setup: on("acls") + `echo x >f; mkdir d; setfacl -m u:12:r,g:34:rw,m::r f; setfacl -m u:5:rwx d; setfacl -d -m u:6:rx,g::r,o::- d; mkdir d/in; touch d/in/g`,
		look:  `tree /mnt/acls`},
	{name: "times with nanoseconds",
		setup: on("times") + `mkdir d; touch -d '2001-02-03 04:05:06.123456789' d/f; ln -s x l; touch -h -m -d '1999-12-31 23:59:59.999999999' l; touch -a -d '2030-01-01 00:00:00.000000001' d/f; touch -d '1969-01-01 00:00:00.5' old; touch -d '2100-01-01' new; touch -d '2002-02-02 02:02:02.222222222' d`,
		look:  `cd /mnt/times && find . ! -name . -printf '%p %T+\n' | sort; find . -type f -printf '%p %A+\n' | sort`},
	{name: "sparse files",
		setup: on("sparse") + `truncate -s 1T huge; printf x | dd of=huge bs=1 seek=500000000000 conv=notrunc 2>/dev/null; truncate -s 100000 hole; dd if=/dev/urandom of=parts bs=4096 count=3 2>/dev/null; dd if=/dev/urandom of=parts bs=4096 count=2 seek=10 conv=notrunc 2>/dev/null; truncate -s 60000 parts`,
		look:  `cd /mnt/sparse && find . -type f -printf '%p %s %b\n' | sort && sha256sum parts hole && dd if=huge bs=4096 skip=122070312 count=1 2>/dev/null | sha256sum`},
	{name: "sticky, setgid, modes",
		setup: on("modes") + `for m in 0000 0001 0777 1777 2755 3777 4755 6711 7777; do mkdir -m $m d$m; : >f$m; chmod $m f$m; done; chmod 1777 .; chown 5:6 .`,
		look:  `tree /mnt/modes`},
	{name: "a large directory",
		setup: on("large") + `mkdir d; cd d; seq 3000 | busybox xargs touch; seq 1 7 3000 | busybox xargs rm; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do mkdir -p deep/$i; cd deep/$i; echo $i >f; done`,
		look:  `tree /mnt/large`},
	{name: "odd names",
		setup: on("names") + `for n in 'a b' "$(printf 'a\nb')" "$(printf '\377\376\001')" '*?[x]' '-rf' '\back\134' "'" '"' '$(x)' "$(printf '\303\244\314\210')" '.hidden' '...' "$(printf %0255d 0)"; do echo "$n" >"./$n"; mkdir "./$n.d"  2>/dev/null || true; done`,
		look:  `tree /mnt/names`},
	{name: "flags of files",
		setup: on("flags") + `echo x >append; echo y >fixed; echo z >nodump; mkdir dir; chattr +a append || skip "tmpfs has no such flags before Linux 6.6"; chattr +d nodump; chattr +A dir; chattr +i fixed`,
		look:  `cd /mnt/flags && lsattr -d . * && tree .`,
		after: `! sh -c 'echo x >/mnt/flags/fixed' 2>/dev/null; ! sh -c 'echo x >/mnt/flags/append' 2>/dev/null; echo more >>/mnt/flags/append; chattr -i -a /mnt/flags/fixed /mnt/flags/append`},
	{name: "files of LXC's own mounts",
		setup: `cd /dev; mkdir mine; echo x >mine/f; ln -s mine/f link; mknod -m 600 kept c 1 3; chmod 600 zero; echo y >shm/f`,
		look:  `ls -l /dev/zero | sed 's/ .*//'; tree /dev/mine; readlink /dev/link; stat -c '%t:%T %a' /dev/kept; tree /dev/shm`},
}
