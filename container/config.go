package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Config is what the file config of an LXC container says, with what it
// includes: keys and values, in order.
type Config struct {
	Name, LXCPath string
	items         []item
}

type item struct{ key, value string }

// deepest is how deep files may include others: one that includes itself ends
// there.
const deepest = 10

// Overrides are what lxc-start takes besides the container's config.
type Overrides struct {
	File   string   // in place of the config (--rcfile); empty: none
	Define []string // after that, KEY=VALUE
}

// Arguments are the options of lxc-start for that.
func (o Overrides) Arguments() (args []string) {
	if o.File != "" {
		args = append(args, "-f", o.File)
	}
	for _, d := range o.Define {
		args = append(args, "-s", d)
	}
	return args
}

// ReadConfig reads the config of the container NAME below lxcpath (empty: the
// host's default), whether it runs or not. It returns a *NotFoundError if there
// is none of that name.
func ReadConfig(name, lxcpath string, o Overrides) (*Config, error) {
	lxcpath, err := resolve(name, lxcpath)
	if err != nil {
		return nil, err
	}
	file := o.File
	if file == "" {
		if err := exists(name, lxcpath); err != nil {
			return nil, err
		}
		file = filepath.Join(lxcpath, name, "config")
	}
	c := &Config{Name: name, LXCPath: lxcpath}
	if err := c.include(file, deepest); err != nil {
		return nil, fmt.Errorf("config of container %s: %w", name, err)
	}
	for _, d := range o.Define {
		if err := c.line(d, deepest); err != nil {
			return nil, fmt.Errorf("config of container %s, %s: %w", name, d, err)
		}
	}
	return c, nil
}

// include reads a file; of a directory, those in it that end in .conf, as LXC
// does (append_unexp_config_line and parse_config_all in src/lxc/confile.c). A path
// that ends in a slash need not exist: userns.conf of LXC 5.0 names such a one.
func (c *Config) include(path string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%s: files include each other too deep", path)
	}
	switch s, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist) && strings.HasSuffix(path, "/"):
		return nil
	case err == nil && s.IsDir():
		files, _ := filepath.Glob(filepath.Join(path, "*.conf"))
		for _, f := range files {
			if err := c.include(f, depth-1); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if err := c.line(line, depth); err != nil {
			return err
		}
	}
	return nil
}

// RunningItem is what the monitor of a running container has for a key of the
// config, whatever the file says by now; empty if it does not run.
func RunningItem(ctx context.Context, name, lxcpath, key string) string {
	lxcpath, err := resolve(name, lxcpath)
	if err != nil {
		return ""
	}
	value, _ := (&Container{Name: name, LXCPath: lxcpath}).configItem(ctx, key)
	return value
}

// line takes one line of a file.
func (c *Config) line(line string, depth int) error {
	key, value, ok := strings.Cut(line, "=")
	if key = strings.TrimSpace(key); !ok || strings.HasPrefix(key, "#") {
		return nil
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	if key == "lxc.include" {
		return c.include(value, depth-1)
	}
	if value == "" { // takes back what was said before
		c.items = slices.DeleteFunc(c.items, func(i item) bool { return i.key == key || strings.HasPrefix(i.key, key+".") })
		return nil
	}
	c.items = append(c.items, item{key, value})
	return nil
}

// All are the values of a key.
func (c *Config) All(key string) []string {
	var values []string
	for _, i := range c.items {
		if i.key == key {
			values = append(values, i.value)
		}
	}
	return values
}

// Get is the value of a key that was given last; empty if there is none.
func (c *Config) Get(key string) string {
	all := c.All(key)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// HasHooks tells whether scripts of the host take part in a start: they can do
// anything.
func (c *Config) HasHooks() bool {
	return slices.ContainsFunc(c.items, func(i item) bool { return strings.HasPrefix(i.key, "lxc.hook.") && i.key != "lxc.hook.version" })
}

// RootDirectory is where the root file system lies on the host while the
// container does not run; empty if LXC mounts it for each run (overlay, loop, an
// LVM volume), or there is none of its own.
func (c *Config) RootDirectory() string {
	path := c.Get("lxc.rootfs.path")
	path = strings.TrimPrefix(path, "dir:")
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	if s, err := os.Stat(path); err == nil && !s.IsDir() {
		return "" // a block device, or an image
	}
	return path
}

// Network is what LXC makes of one lxc.net of the config.
type Network struct {
	Item string // "lxc.net.0"
	Type string // "veth"
	Name string // in the container; empty: LXC says
	Link string // the host's interface that it hangs on
	Pair string // of a veth, the name on the host; empty: LXC says
}

// Networks are the interfaces that LXC gives the container.
func (c *Config) Networks() []Network {
	var list []Network
	index := map[string]int{}
	for _, i := range c.items {
		rest, ok := strings.CutPrefix(i.key, "lxc.net.")
		if !ok {
			continue
		}
		number, key, _ := strings.Cut(rest, ".")
		at, known := index[number]
		if !known {
			at = len(list)
			index[number] = at
			list = append(list, Network{Item: "lxc.net." + number})
		}
		switch n := &list[at]; key {
		case "type":
			n.Type = i.value
		case "name":
			n.Name = i.value
		case "link":
			n.Link = i.value
		case "veth.pair":
			n.Pair = i.value
		}
	}
	return list
}

// NamesInside are the names that LXC's interfaces get in the container, in their
// order: those without one get the next that is free of eth0, eth1 and so on.
func NamesInside(all []Network) []string {
	names := make([]string, len(all))
	unnamed := 0
	for i, n := range all {
		switch {
		case n.Name != "" || n.Type == "empty" || n.Type == "none" || n.Type == "":
			names[i] = n.Name
		case n.Type == "phys":
			names[i] = n.Link
		default:
			names[i] = "eth" + strconv.Itoa(unnamed)
			unnamed++
		}
	}
	return names
}

// Hang has the interface of a name in the container hang on another interface of
// the host than its config says.
func (o *Overrides) Hang(c *Config, name, link string) error {
	all := c.Networks()
	for i, inside := range NamesInside(all) {
		if inside == name {
			o.Define = append(slices.Clone(o.Define), all[i].Item+".link="+link)
			return nil
		}
	}
	return fmt.Errorf("the config of container %s makes no network interface %s", c.Name, name)
}

// Bind is a directory or file of the host that LXC binds into the container.
type Bind struct {
	Source, Target string
	Optional       bool
}

// Binds are those of lxc.mount.entry and lxc.mount.fstab.
func (c *Config) Binds() []Bind {
	lines := c.All("lxc.mount.entry")
	if fstab := c.Get("lxc.mount.fstab"); fstab != "" {
		text, _ := os.ReadFile(fstab)
		lines = append(lines, strings.Split(string(text), "\n")...)
	}
	var list []Bind
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || !strings.HasPrefix(f[0], "/") {
			continue
		}
		options := strings.Split(f[3], ",")
		if !slices.Contains(options, "bind") && !slices.Contains(options, "rbind") {
			continue
		}
		list = append(list, Bind{Source: unescape.Replace(f[0]), Target: unescape.Replace(f[1]), Optional: slices.Contains(options, "optional")})
	}
	return list
}
