package world

// layers are overlays that the container mounts: of directories of its root, of a
// tmpfs, of other overlays. Each fixture has a directory of its own below /home.
var layers = []fixture{
	{name: "overlay: writes go to the upper directory",
		setup: `mkdir -p /home/o1/l1/d /home/o1/l2 /home/o1/u /home/o1/w /home/o1/m; cd /home/o1; echo 1 >l1/a; echo 2 >l2/a; echo 2 >l2/b; echo x >l1/d/x; echo y >l2/gone
			mount -t overlay some:name -o lowerdir=/home/o1/l1:/home/o1/l2,upperdir=/home/o1/u,workdir=/home/o1/w,nosuid,noatime m; rm m/gone; echo new >m/new; echo more >>m/b`,
		look:  `mounts /home/o1 self; cd /home/o1; grep -r . m | sort; ls -R u; [ $(stat -c %d m) = $(stat -c %d m/d) ] && stat -f -c '%T %b' m`,
		after: `cd /home/o1; echo late >>m/d/x; [ "$(cat u/d/x)" = "$(cat m/d/x)" ]; [ "$(cat l1/d/x)" = x ]; [ ! -e m/gone ]; echo again >m/gone; rm m/a; umount m; [ -f u/gone ]; [ -c u/a ]`},
	{name: "overlay: options",
		setup: `mkdir -p /home/o2; cd /home/o2; for o in index=off index=on nfs_export=on metacopy=on redirect_dir=on xino=on userxattr volatile redirect_dir=nofollow default_permissions; do mkdir -p $o/l/d $o/u $o/w $o/m; echo $o >$o/l/f; (cd $o; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w,$o m && chmod 640 m/f && mv m/f m/d/g) || rm -r $o; done; ls */m/d/g >/dev/null`,
		look:  `mounts /home/o2 self; cd /home/o2; for o in *; do ls -lR --full-time $o/m; cat $o/m/d/g; done`,
		after: `cd /home/o2; for o in *; do echo late >$o/m/d/late; [ $(cat $o/u/d/late) = late ]; done`,
		but:   []difference{but(`(?m)^-rw-r----- \d`, "the kernel counts the link of an index from the next mount on")}},
	{name: "overlay: read-only, many layers, relative names",
		setup: `mkdir -p /home/o3/l /home/o3/merged; cd /home/o3; for i in 1 2 3 4 5 6 7 8 9; do mkdir -p layer$i/diff; echo $i >layer$i/diff/f$i; echo $i >layer$i/diff/same; ln -s ../layer$i/diff l/N$i; done
			mount -t overlay overlay -o lowerdir=l/N1:l/N2:l/N3:l/N4:l/N5:l/N6:l/N7:l/N8:l/N9 merged; mkdir -p at; mount --bind merged/f5 layer1/diff/f1; mount --bind merged at; mount -o remount,bind,noexec at`,
		look:  `mounts /home/o3 self; cd /home/o3; grep -r . merged at layer1 | sort`,
		after: `cd /home/o3; ! touch merged/x 2>/dev/null; ! touch at/x 2>/dev/null; umount layer1/diff/f1; [ "$(cat layer1/diff/f1)" = 1 ]`},
	{name: "overlay: of a tmpfs, with what is mounted on it",
		setup: `mkdir /home/o4; mount -t tmpfs layers /home/o4; cd /home/o4; mkdir -p l/d/sub u w m; echo x >l/d/x; echo y >l/d/y; echo z >l/z; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m
			rm m/d/x; rm -r m/z; mkdir m/z; echo new >m/z/n; mount -t tmpfs on m/d/sub; echo on >m/d/sub/f; mount --bind m/z/n m/d/y`,
		look:  `mounts /home/o4 self; cd /home/o4; grep -r . m | sort; tree u; tree l`,
		after: `cd /home/o4; echo late >>m/z/n; grep -q late u/z/n; umount m/d/y; [ $(cat m/d/y) = y ]; [ ! -e m/d/x ]`,
		but:   []difference{but(`(/d/x.c.0.0:0).\d`, "a hidden name is a link to a file in the work directory, which each mount empties")}},
	{name: "overlay: over one of its own directories, and in itself",
		setup: `mkdir -p /home/o5/etc /home/o5/u /home/o5/w /home/o5/u2 /home/o5/w2; cd /home/o5; echo old >etc/file; echo keep >etc/keep; mount -t overlay overlay -o lowerdir=/home/o5/etc,upperdir=/home/o5/u,workdir=/home/o5/w /home/o5/etc
			echo changed >etc/file; mount -t overlay two -o lowerdir=/home/o5/etc,upperdir=/home/o5/u2,workdir=/home/o5/w2 /home/o5/etc; echo again >etc/file`,
		look:  `mounts /home/o5 self; cd /home/o5; grep -r . etc u u2 | sort`,
		after: `cd /home/o5; umount etc; [ $(cat etc/file) = changed ]; umount etc; [ $(cat etc/file) = old ]`},
	{name: "overlay: the root of others",
		setup: `mkdir -p /home/o6/base/bin /home/o6/base/dev /home/o6/base/proc /home/o6/base/old /home/o6/u /home/o6/w /home/o6/m; cd /home/o6; cp /bin/busybox base/bin/busybox; ln -s busybox base/bin/sleep; ln -s busybox base/bin/sh
			mount -t overlay overlay -o lowerdir=base,upperdir=u,workdir=w m
			service onlayers 'cd /home/o6/m; mount --make-rprivate /; mount --bind . .; cd /home/o6/m; mount -t tmpfs d dev; /bin/mknod dev/null c 1 3; mount -t proc p proc; echo mine >own; pivot_root . old; exec /bin/busybox chroot . /bin/sh -c "/bin/busybox umount -l /old; exec 7<>/own; exec /bin/sleep 86400"'`,
		look: `mounts / $(pid onlayers); p=/proc/$(pid onlayers); readlink $p/root $p/cwd $p/exe; readlink $p/fd/7; cat $p/fd/7; ls $p/root; cat /home/o6/u/own; sort $p/mounts`,
		after: `p=/proc/$(pid onlayers); echo late >$p/root/late; [ $(cat /home/o6/u/late) = late ]; echo other >$p/fd/7; [ "$(cat /home/o6/m/own)" = other ]
			[ "$(stat -c %d /home/o6/m)" = "$(stat -Lc %d $p/root/bin)" ]; busybox cmp $p/exe /bin/busybox`},
	{name: "overlay: mounted in another namespace",
		setup: `mkdir -p /home/o7/m; service layers 'mount --make-rprivate /; mount -t tmpfs l /home/o7; cd /home/o7; mkdir l u w m other; echo x >l/x; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; echo y >m/y; mount --bind m other; exec sleep 86400'`,
		look:  `mounts /home/o7 $(pid layers); grep -r . /proc/$(pid layers)/root/home/o7 | sed s/proc.[0-9]*// | sort`,
		after: `r=/proc/$(pid layers)/root/home/o7; echo z >$r/other/z; cat $r/u/z`},
	{name: "overlay: odd names",
		setup: `mkdir -p /home/o8; cd /home/o8; n='a b,c\d:e'; mkdir "$n" "$n/l" "$n/u" "$n/w" m; echo x >"$n/l/x"; cd "$n"; mount -t overlay "o o" -o 'lowerdir=/home/o8/a b\,c\\d\:e/l,upperdir=/home/o8/a b\,c\\d:e/u,workdir=/home/o8/a b\,c\\d:e/w' /home/o8/m`,
		look:  `mounts /home/o8 self; cat /home/o8/m/x`,
		after: `cd /home/o8; echo y >m/y; cat */u/y`},
}
