package world

// filters are rules for packets. Each fixture has a table of its own.
var filters = []fixture{
	{name: "nftables: rules",
		setup: `nft -f - <<'R'
table inet r1 {
	comment "a table"
	chain input { type filter hook input priority filter - 5; policy accept; comment "in"
		ct state established,related counter packets 3 bytes 300 accept
		tcp dport { 22, 8000-8010 } accept comment "ssh and others"
		iifname "lo" meta mark set 7 ct mark set meta mark
		ip saddr 10.0.0.0/8 limit rate over 10/second burst 5 packets drop
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		ip6 nexthdr tcp reject with tcp reset
		meta l4proto udp log prefix "x: " level debug
		udp dport 5353 jump {
			counter drop
		}
	}
	chain out { type route hook output priority mangle; policy drop; oifname "lo" accept; meta skuid 1000 counter; fib daddr type local accept
	}
}
R`,
		look: `nft -j -a list table inet r1; nft -a list table inet r1`},
	{name: "nftables: sets and maps",
		setup: `nft -f - <<'R'
table inet s1 {
	set bad { type ipv4_addr; flags interval; auto-merge; elements = { 10.9.0.0/16, 10.8.0.1 comment "one", 192.168.0.1-192.168.0.9 } }
	set seen { type ipv4_addr . inet_service; flags dynamic,timeout; size 1000; timeout 5h; elements = { 10.1.1.1 . 80 timeout 3h } }
	set fixed { type inet_service; flags constant; elements = { 1, 2, 3 } }
	set counted { type ipv6_addr; counter; elements = { fd00::1 counter packets 7 bytes 70 } }
	set concat { type ipv4_addr . ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 10.1.0.0/16 . 80-90 } }
	map where { type inet_service : verdict; elements = { 80 : jump web, 81 : accept } }
	map to { type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = { 10.0.0.1 . 80 : 10.0.0.2 . 8080 } }
	map marks { typeof ip saddr : meta mark; flags interval; elements = { 10.5.0.0/16 : 0x7 } }
	chain web { accept; }
	chain c { tcp dport vmap @where; ip saddr @bad drop; tcp dport @fixed drop; meta mark set ip saddr map @marks
	}
}
R`,
		look: `nft -j -a list table inet s1`},
	{name: "nftables: counters and quotas",
		setup: `nft -f - <<'R'
table ip objects {
	counter web { packets 7 bytes 777 }
	quota limited { over 5 mbytes used 1000 bytes }
	limit some { rate 400/minute }
	ct helper ftp { type "ftp" protocol tcp; }
	ct timeout slow {
		protocol tcp
		l3proto ip
		policy = { established : 100, close : 4 }
	}
	ct expectation e { protocol tcp; dport 9876; timeout 1m; size 12; l3proto ip; }
	map by { type ipv4_addr : counter; elements = { 10.1.2.3 : "web" } }
	chain c { type filter hook input priority 10; counter name "web" quota name "limited" limit name "some" accept; counter name ip saddr map @by; quota 100 mbytes
	}
}
R`,
		look: `nft -j -a list table ip objects`},
	{name: "nftables: translation",
		setup: `nft -f - <<'R'
table ip nat {
	chain post { type nat hook postrouting priority srcnat; ip saddr 10.0.0.0/8 masquerade random,persistent
		ip saddr 172.16.0.0/12 meta l4proto tcp snat to 10.0.0.1-10.0.0.9:1000-2000
	}
	chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 10.0.0.5:80; tcp dport 81 redirect to :82
	}
}
table ip6 nat {
	chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to [fd00::5]:80
	}
}
R`,
		look: `nft -j -a list table ip nat; nft -j -a list table ip6 nat`},
	{name: "nftables: other families",
		setup: `nft -f - <<'R'
table bridge b {
	chain c { type filter hook forward priority 0; ether saddr 02:00:00:00:00:01 drop; vlan id 5 accept; }
}
table arp a {
	chain c { type filter hook input priority 0; arp operation request arp saddr ip 10.0.0.1 counter; }
}
table netdev n {
	chain c { type filter hook ingress device "lo" priority 0; ip ttl 1 drop; }
}
table inet dormant {
	flags dormant
	chain c { type filter hook input priority 0; drop; }
}
R`,
		look: `for t in 'bridge b' 'arp a' 'netdev n' 'inet dormant'; do nft -j -a list table $t; done`},
	{name: "nftables: flow tables",
		setup: `ip link add ft0 type veth peer name ft1; ip link set ft0 up; nft -f - <<'R' || skip "the kernel has no flow tables"
table inet flows {
	flowtable f { hook ingress priority 0; devices = { ft0, ft1 }; }
	chain c { type filter hook forward priority 0; ip protocol tcp flow add @f; }
}
R`,
		look: `nft -j -a list table inet flows`},
	{name: "nftables: numbers",
		setup: `nft add table inet gone; nft add chain inet gone a; nft delete table inet gone; nft add table inet numbers; nft add chain inet numbers a; nft add chain inet numbers b; nft delete chain inet numbers a; for i in 1 2 3 4; do nft add rule inet numbers b tcp dport $i accept; done; nft insert rule inet numbers b tcp dport 5 drop; nft delete rule inet numbers b handle 4; nft add rule inet numbers b index 1 tcp dport 6 drop`,
		look:  `nft -a list table inet numbers`},
	{name: "iptables-nft",
		setup: `iptables-nft -N DOCKER; iptables-nft -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT; iptables-nft -A INPUT -m conntrack --ctstate INVALID -j DROP; iptables-nft -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu; iptables-nft -A INPUT -p udp --dport 53 -m comment --comment dns -j DOCKER; iptables-nft -P FORWARD DROP; iptables-nft -A DOCKER -s 10.0.0.0/8 -j RETURN
			iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE; ip6tables-nft -A INPUT -p icmpv6 -j ACCEPT`,
		look: `(iptables-nft-save -c; ip6tables-nft-save -c) | grep -v '^#'`},
	{name: "connections that are tracked",
		setup: `nft add table ip tracked; nft add chain ip tracked c '{ type filter hook input priority 0; }'; nft add rule ip tracked c ct state established accept; for l in '-p tcp -s 10.1.0.1 -d 10.1.0.2 --sport 1000 --dport 22 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 10000 -m 5' '-p tcp -s 10.1.0.1 -d 10.1.0.2 --sport 1001 --dport 80 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 10000 -g 10.9.0.1:7001' '-p udp -s 10.1.0.1 -d 10.1.0.3 --sport 1002 --dport 53 -t 9000 -n 10.8.0.1:4000' '-p udp -s fd00::1 -d fd00::2 --sport 1003 --dport 53 -t 9000'; do conntrack -I $l >/dev/null 2>&1 || skip "the kernel does not take tracked connections"; done`,
		look:  `conntrack -L -o extended 2>/dev/null | sort`,
		but:   []difference{but(`(?m)^((?:\S+ +){4})\d+`, "what remains of a time gets less")}},
	{name: "iptables-legacy",
		setup: `iptables-legacy -N CHAIN || skip "the kernel has no old iptables"; iptables-legacy -A INPUT -p tcp --dport 80 -j CHAIN; iptables-legacy -A CHAIN -s 10.0.0.0/8 -j RETURN; iptables-legacy -P FORWARD DROP; iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE; iptables-legacy -t mangle -A PREROUTING -j TTL --ttl-set 9; iptables-legacy -A INPUT -c 7 70 -s 10.9.0.0/16 -m limit --limit 5/min -j DROP; ip6tables-legacy -A INPUT -p icmpv6 -j DROP; ip6tables-legacy -t raw -A OUTPUT -d fd00::/8 -j ACCEPT`,
		look:  `(iptables-legacy-save -c; ip6tables-legacy-save -c) | grep -v '^#'`},
	{name: "ipsets",
		setup: `ipset create ips hash:ip timeout 90000 counters comment || skip "the kernel has no ipsets"; ipset add ips 10.0.0.1 comment one packets 7 bytes 70; ipset add ips 10.0.0.2 timeout 80000; ipset create nets hash:net family inet6 hashsize 128 maxelem 1000; ipset add nets fd00::/16; ipset add nets fd00:1::/32 nomatch; ipset create ports bitmap:port range 1000-2000; ipset add ports 1234; ipset create all list:set size 9; ipset add all ips; ipset add all nets`,
		look:  `ipset save | sort`,
		but:   []difference{but(`(add \S+ \S+ timeout) \d+`, "what remains of a time gets less")}},
}
