package lxc

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/internal/need"
)

// rules use most of what nf_tables has. Some are removed or put in between, so that
// their numbers (handles) are not in their order, nor all in use.
const rules = `
add table inet gone
delete table inet gone
table inet filter {
	comment "a table"
	counter web { packets 7 bytes 777 }
	quota limited { over 5 mbytes used 1000 bytes }
	ct helper ftp { type "ftp" protocol tcp; }
	limit some { rate 400/minute }
	set bad { type ipv4_addr; flags interval,timeout; timeout 1d; elements = { 10.9.0.0/16, 10.8.0.1 timeout 2h comment "one" } }
	set seen { type ipv4_addr . inet_service; flags dynamic,timeout; size 1000; timeout 5m; }
	set fixed { type inet_service; flags constant; elements = { 1, 2, 3 } }
	map where { type inet_service : verdict; elements = { 80 : jump web, 81 : accept } }
	map objects { type ipv4_addr : counter; elements = { 10.1.2.3 : "web" } }
	chain web { counter name "web" limit name "some" accept; }
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established,related counter packets 3 bytes 300 accept
		tcp dport { 22, 8000-8010 } accept comment "ssh and others"
		ip saddr @bad drop
		tcp dport vmap @where
		tcp dport @fixed reject with tcp reset
		counter name ip saddr map @objects
		meta l4proto udp add @seen { ip saddr . udp dport } counter
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		udp dport 5353 jump { counter drop; }
	}
	chain removed { counter; }
	chain late { meta mark set ct mark; quota name "limited" drop; }
}
table ip nat {
	chain post { type nat hook postrouting priority srcnat; policy accept; ip saddr 10.0.0.0/8 masquerade random; }
	chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 10.0.0.5:80; }
}
table bridge b {
	chain c { type filter hook forward priority 0; ether saddr 02:00:00:00:00:01 drop; }
}
table arp a {
	chain c { type filter hook input priority 0; arp operation request counter; }
}
table netdev n {
	chain c { type filter hook ingress device "lo" priority 0; ip ttl 1 drop; }
}
delete chain inet filter removed
add rule inet filter late counter comment "last"
insert rule inet filter input iif lo accept comment "first"
`

// TestPacketFilters: a rule set of nf_tables, numbers included, and rules of
// iptables in it.
func TestPacketFilters(t *testing.T) {
	need.Check(t, need.Program("nft"), need.Program("nsenter"))
	b, _ := busybox(t)
	in := func(stdin string, command ...string) string {
		t.Helper()
		c := exec.Command("nsenter", append([]string{"-t", b.must("lxc-info", "-pH"), "-n"}, command...)...)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
		return string(out)
	}
	in(rules, "nft", "-f", "-")
	in("add rule inet filter input index 3 tcp dport 9999 drop comment \"in between\"\n", "nft", "-f", "-")
	in("", "nft", "delete", "rule", "inet", "filter", "late", "handle", handleOf(t, in("", "nft", "-a", "list", "chain", "inet", "filter", "late"), "quota name"))
	if _, err := exec.LookPath("iptables-nft"); err == nil {
		for _, line := range []string{
			"-N DOCKER", "-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT", "-A INPUT -m conntrack --ctstate INVALID -j DROP",
			"-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "-A INPUT -p udp --dport 53 -m comment --comment dns -j DOCKER",
			"-A DOCKER -j LOG --log-prefix x:", "-P FORWARD DROP",
		} {
			in("", append([]string{"iptables-nft"}, strings.Fields(line)...)...)
		}
	}
	// What changes by itself: how long elements are still in it.
	listed := func() string {
		var kept []string
		for part := range strings.SplitSeq(in("", "nft", "-a", "-j", "list", "ruleset"), ",") {
			if !strings.Contains(part, `"expires"`) {
				kept = append(kept, part)
			}
		}
		return strings.Join(kept, "\n")
	}
	before := listed()
	for range 2 {
		b.checkpoint("-S", b.statefile("filters"), "-k")
		b.restart("-S", b.statefile("filters"))
		if after := listed(); after != before {
			t.Fatalf("the rule set was\n%s\nand is\n%s", before, after)
		}
	}
}

// handleOf is the number of a rule in a listing.
func handleOf(t *testing.T, listing, rule string) string {
	t.Helper()
	for line := range strings.Lines(listing) {
		if strings.Contains(line, rule) {
			_, handle, _ := strings.Cut(line, "# handle ")
			return strings.TrimSpace(handle)
		}
	}
	t.Fatalf("no rule %q in\n%s", rule, listing)
	return ""
}

// TestConntrack: connections that the container tracks, with translated addresses
// too, are tracked after a restart: a filter that lets only these pass still does.
func TestConntrack(t *testing.T) {
	need.Check(t, need.Program("nft"), need.Program("nsenter"), need.Program("conntrack"))
	b, _ := busybox(t)
	in := func(stdin string, command ...string) string {
		t.Helper()
		c := exec.Command("nsenter", append([]string{"-t", b.must("lxc-info", "-pH"), "-n"}, command...)...)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
		return string(out)
	}
	in(`table ip t {
	chain out { type nat hook output priority -100; tcp dport 80 dnat to 127.0.0.1:7001; }
	chain in { type filter hook input priority 0; ct state established accept; }
}
`, "nft", "-f", "-")
	for _, line := range []string{
		"-p tcp -s 10.1.0.1 -d 10.1.0.2 --sport 1000 --dport 22 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 10000 -m 5",
		"-p tcp -s 10.1.0.1 -d 10.1.0.2 --sport 1001 --dport 80 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 10000 -g 10.9.0.1:7001",
		"-p udp -s 10.1.0.1 -d 10.1.0.3 --sport 1002 --dport 53 -t 9000 -n 10.8.0.1:4000",
		"-p udp -s fd00::1 -d fd00::2 --sport 1003 --dport 53 -t 9000",
	} {
		in("", append([]string{"conntrack", "-I"}, strings.Fields(line)...)...)
	}
	// Without the timeouts, which go on.
	listed := func() string {
		var lines []string
		for line := range strings.Lines(in("", "conntrack", "-L", "-o", "extended")) {
			fields := strings.Fields(line)
			if len(fields) > 5 {
				lines = append(lines, strings.Join(append(fields[:4:4], fields[5:]...), " "))
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	before := listed()
	if strings.Count(before, "\n") != 3 {
		t.Fatalf("not four connections are tracked:\n%s", before)
	}
	for range 2 {
		b.checkpoint("-S", b.statefile("conntrack"), "-k")
		b.restart("-S", b.statefile("conntrack"))
		if after := listed(); after != before {
			t.Fatalf("tracked was\n%s\nand is\n%s", before, after)
		}
	}
}
