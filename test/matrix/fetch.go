package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// files is the directory in the cache with what a guest needs of Debian's
// packages.
type files string

// packages are those of Debian that a guest's programs need, besides the kernel:
// busybox is the guest's own tools, the others are for test/programs.
var packages = []string{
	"busybox-static", "bash", "libtinfo6", "libc6", "libgcc-s1", "libstdc++6", "libatomic1",
	"python3-minimal", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib",
	"libexpat1", "libffi8", "libsqlite3-0", "libuuid1", "zlib1g", "libbz2-1.0", "libzstd1",
	"redis-tools", "redis-server", "libssl3", "libjemalloc2", "liblzf1",
	"libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblz4-1", "liblzma5",
}

// wanted are those files: their name in the cache, and a pattern of where they
// are in the packages.
var wanted = map[string]string{
	"vmlinuz":        "boot/vmlinuz-*",
	"inside/busybox": "bin/busybox",
}

// modules are those that our commands or the targets need, and what they depend
// on. The kernel has them loaded when it first needs them, as on a whole Debian.
// Which of them are built in, or are not there, is the kernel's own affair.
var modules = []string{
	"loop", "fuse", "overlay",
	"unix_diag", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "netlink_diag", "af_packet_diag",
	"dummy", "ifb", "veth", "tun", "tap", "vrf", "macvlan", "macvtap", "ipvlan", "bonding", "tls",
	"bridge", "stp", "llc", "8021q", "garp", "mrp", "vxlan", "geneve", "udp_tunnel", "ip6_udp_tunnel",
	"ipip", "sit", "gre", "ip_gre", "ip6_gre", "ip_tunnel", "ip6_tunnel", "tunnel4", "tunnel6", "ip_vti", "ip6_vti", "xfrm_interface", "xfrm4_tunnel", "xfrm6_tunnel", "team",
	"wireguard", "libchacha20poly1305", "libchacha", "chacha-x86_64", "chacha-neon", "libpoly1305", "poly1305-x86_64", "poly1305-neon",
	"libcurve25519", "libcurve25519-generic", "curve25519-x86_64", "libblake2s", "blake2s-x86_64",
	"xfrm_user", "xfrm_algo", "esp4",
	"nfnetlink", "nf_tables", "nft_compat", "libcrc32c", "crc32c_generic",
}

// moduleDir is where they are for a guest.
const moduleDir = "inside/modules"

// root is the directory below which is all else that programs run with.
const root = "inside/root"

// unwanted is what is in the packages and no program here looks at.
var unwanted = []string{
	"boot", "etc", "var", "lib/modules", "lib/systemd", "usr/share", "usr/lib/systemd", "usr/lib/*-linux-gnu/gconv", "usr/lib/*-linux-gnu/perl*",
}

func (f files) image() string { return filepath.Join(string(f), "vmlinuz") }

// inside is the directory of what comes into the guest.
func (f files) inside() fs.FS { return os.DirFS(filepath.Join(string(f), "inside")) }

func (f files) complete() bool {
	for _, name := range append(slices.Collect(maps.Keys(wanted)), root, moduleDir) {
		if _, err := os.Stat(filepath.Join(string(f), name)); err != nil {
			return false
		}
	}
	return true
}

// list tells lists of what is wanted apart: another version of this program, which
// wants something else, has a directory of its own in the cache.
func list() string {
	sum := sha256.Sum256(fmt.Append(nil, packages, wanted, modules, unwanted))
	return hex.EncodeToString(sum[:4])
}

// fetch returns a kernel's files: from the cache, or from Debian's packages.
// What is in the cache is not replaced by newer ones: remove it for those.
func (k *kernel) fetch(ctx context.Context) (files, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no directory for downloads: %w", err)
	}
	cache = filepath.Join(cache, "lxc-checkpoint-matrix")
	have := files(filepath.Join(cache, k.name+"-"+list()))
	if have.complete() {
		return have, nil
	}
	if err := os.RemoveAll(string(have)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := k.download(ctx, work); err != nil {
		return "", err
	}
	done := filepath.Join(work, "done")
	if err := collect(ctx, filepath.Join(work, "root"), done); err != nil {
		return "", err
	}
	return have, os.Rename(done, string(have))
}

// download unpacks the kernel's package and the others into the directory "root". It uses a list of packages of its own, so that the host's
// apt neither needs nor learns of another architecture.
func (k *kernel) download(ctx context.Context, work string) error {
	lists, downloads := filepath.Join(work, "lists"), filepath.Join(work, "packages")
	for _, dir := range []string{filepath.Join(lists, "partial"), downloads} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	apt := func(program string, args ...string) (string, error) {
		c := exec.CommandContext(ctx, program, append([]string{
			"-qq",
			"-o", "APT::Architecture=" + k.arch.name,
			"-o", "APT::Architectures=" + k.arch.name,
			"-o", "APT::Sandbox::User=root",
			"-o", "Dir::State::Lists=" + lists,
			"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
			"-o", "Acquire::Languages=none",
			"-o", "Acquire::Retries=3",
		}, args...)...)
		c.Dir = downloads
		return output(c)
	}
	if _, err := apt("apt-get", "update"); err != nil {
		return err
	}
	depends, err := apt("apt-cache", "depends", k.meta)
	if err != nil {
		return err
	}
	_, image, ok := strings.Cut(depends, "Depends: ")
	if !ok {
		return fmt.Errorf("package %s depends on no kernel: %q", k.meta, depends)
	}
	if _, err := apt("apt-get", append([]string{"download", strings.Fields(image)[0]}, packages...)...); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(downloads, "*.deb"))
	for _, deb := range debs {
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "-x", deb, filepath.Join(work, "root"))); err != nil {
			return err
		}
	}
	return nil
}

// collect moves what is wanted of unpacked packages into a new directory.
func collect(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Join(to, moduleDir), 0o755); err != nil {
		return err
	}
	if err := collectModules(ctx, filepath.Join(from, "lib/modules"), filepath.Join(to, moduleDir)); err != nil {
		return err
	}
	for name, pattern := range wanted {
		found, _ := filepath.Glob(filepath.Join(from, pattern))
		if len(found) != 1 {
			return fmt.Errorf("there are %d files %s in Debian's packages instead of one", len(found), pattern)
		}
		if err := os.Rename(found[0], filepath.Join(to, name)); err != nil {
			return err
		}
	}
	for _, pattern := range unwanted {
		found, _ := filepath.Glob(filepath.Join(from, pattern))
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return os.Rename(from, filepath.Join(to, root))
}

// collectModules moves the modules that are wanted, decompressed.
func collectModules(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _, _ := strings.Cut(d.Name(), ".ko")
		if !slices.Contains(modules, name) {
			return nil
		}
		if unpacked, ok := strings.CutSuffix(path, ".xz"); ok {
			if err := run(exec.CommandContext(ctx, "xz", "-d", path)); err != nil {
				return err
			}
			path = unpacked
		}
		return os.Rename(path, filepath.Join(to, name+".ko"))
	})
}
