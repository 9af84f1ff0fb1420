package world

// show shows all of an interface.
const show = "ip -j -d addr show dev "

// links are interfaces. Each fixture's have names of its own.
var links = []fixture{
	{name: "veth pair",
		setup: `ip link add ve0 index 100 mtu 1400 txqueuelen 77 address 02:00:00:00:01:00 type veth peer name ve1 index 101 address 02:00:00:00:01:01
			ip link set ve0 up; ip link set ve1 up; ip link set ve0 group 7; ip link set ve1 alias "the other end"`,
		look: show + `ve0; ` + show + `ve1`},
	{name: "veth in namespaces",
		setup: `unshare -n sleep 86400 </dev/null >/dev/null 2>&1 & echo $! >/home/netns; sleep 0.2
			ip link add vn0 type veth peer name vn1 netns $(pid netns); ip link set vn0 up; ip addr add 10.5.0.1/24 dev vn0
			nsenter -t $(pid netns) -n sh -ec 'ip link set vn1 up; ip addr add 10.5.0.2/24 dev vn1; ip route add default via 10.5.0.1; ip link set lo up; sysctl -qw net.ipv4.ip_forward=1'`,
		look:  show + `vn0; nsenter -t $(pid netns) -n sh -c 'ip -j -d addr; ip -j route show table all; sysctl net.ipv4.ip_forward'`,
		after: `busybox ping -c 1 -W 2 10.5.0.2 >/dev/null`},
	{name: "alternative names",
		setup: `ip link add alt0 type veth peer name alt1; ip link property add dev alt0 altname a-rather-long-alternative-name altname second; ip link property add dev alt1 altname other`,
		look:  show + `alt0; ip -j link show second; ip -j link show other`},
	{name: "flags",
		setup: `ip link add fl0 type veth peer name fl1; ip link set fl0 promisc on; ip link set fl0 allmulticast on; ip link set fl0 arp off; ip link set fl1 multicast off; ip link set fl0 up; ip link set fl1 up; ip link set fl1 down`,
		look:  show + `fl0; ` + show + `fl1`,
		but:   []difference{but(`"qdisc":"no(op|queue)",`, "one is attached when an interface is first set up, and one that is down has never been")}},
	{name: "bridge with ports",
		setup: `ip link add br0 address 02:00:00:00:02:00 type bridge forward_delay 400 hello_time 300 max_age 1500 ageing_time 12345 priority 4096 stp_state 0 group_fwd_mask 8 mcast_snooping 0
			for i in 1 2; do ip link add bp$i type veth peer name bq$i; ip link set bp$i master br0 up; ip link set bq$i up; done; ip link set br0 up
			bridge link set dev bp1 cost 77 priority 9 hairpin on isolated on learning off; bridge link set dev bp2 guard on root_block on flood off mcast_flood off
			ip addr add 10.6.0.1/24 dev br0`,
		look: `for l in br0 bp1 bp2 bq1; do ` + show + `$l; done; bridge -j -d link show dev bp1; bridge -j -d link show dev bp2`},
	{name: "addresses of a bridge",
		setup: `ip link add brf address 02:00:00:00:03:00 type bridge; ip link add brf1 address 02:00:00:00:03:01 type veth peer name brf2; ip link set brf1 master brf; for l in brf brf1 brf2; do ip link set $l up; done
			bridge fdb add 02:00:00:00:00:01 dev brf1 master static; bridge fdb add 02:00:00:00:00:02 dev brf1 master permanent; bridge fdb add 02:00:00:00:00:03 dev brf1 self`,
		look: `bridge fdb show dev brf1 | sort; bridge fdb show dev brf | sort`},
	{name: "macvlan",
		setup: `ip link add mvl type veth peer name mvp; ip link set mvl up; ip link set mvp up; ip link add mv1 link mvl type macvlan mode bridge; ip link add mv2 link mvl type macvlan mode private; ip link add mv3 link mvl type macvlan mode source macaddr add 02:00:00:00:09:09
			ip link set mv1 up; ip addr add 10.7.0.1/24 dev mv1`,
		look: `for l in mv1 mv2 mv3; do ` + show + `$l; done`},
	{name: "vxlan",
		setup: `ip link add vx0 type vxlan id 42 local 10.1.1.1 remote 10.1.1.2 dstport 4789 ttl 9 tos 4 ageing 77 nolearning; ip link set vx0 up; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.1.1.3; bridge fdb add 02:00:00:00:00:44 dev vx0 dst 10.1.1.4 port 99 vni 43
			ip link add vx1 type vxlan id 43 group 239.1.1.1 dev vx0 dstport 4790; ip link add vx2 type vxlan external dstport 4791`,
		look: `for l in vx0 vx1 vx2; do ` + show + `$l; done; bridge -j fdb show dev vx0`},
	{name: "vlan",
		setup: `ip link add vlp type veth peer name vlq; ip link add vl5 link vlp type vlan id 5 ingress-qos-map 1:2 egress-qos-map 3:4 || skip "the kernel has no 8021q"; ip link set vl5 up`,
		look:  show + `vl5`},
	{name: "dummy, vrf, ifb",
		setup: `n=; for k in dummy "vrf table 77" ifb; do ip link add t-${k%% *} type $k 2>/dev/null && n=1; done; [ $n ] || skip "the kernel has neither dummy nor vrf nor ifb"`,
		look:  `for k in dummy vrf ifb; do ` + show + `t-$k 2>/dev/null; done; true`},
	{name: "tun and tap",
		setup: `mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200; ip tuntap add dev tun7 mode tun user 12 || skip "the kernel has no tun"; ip tuntap add dev tap7 mode tap group 34; ip addr add 10.8.0.1 peer 10.8.0.2 dev tun7; ip link set tun7 mtu 1300`,
		look:  `for l in tun7 tap7; do ` + show + `$l; done`},
	{name: "settings of interfaces",
		setup: `ip link add se0 type veth peer name se1; ip link set se0 up; ip link set se1 up; cd /proc/sys/net; echo 1 >ipv4/conf/se0/proxy_arp; echo 2 >ipv4/conf/se0/rp_filter; echo 1 >ipv4/conf/se0/arp_ignore; echo 1 >ipv4/conf/se0/forwarding
			echo 0 >ipv6/conf/se0/accept_ra; echo 1 >ipv6/conf/se0/proxy_ndp; echo 3 >ipv6/conf/se0/addr_gen_mode; echo 1 >ipv6/conf/se1/disable_ipv6; echo 77 >ipv4/neigh/se0/gc_stale_time; echo 9 >ipv6/neigh/se0/mcast_solicit`,
		look: `cd /proc/sys/net; for f in $(find . -path '*/se[01]/*' -type f | sort); do echo $f $(cat $f 2>/dev/null); done`,
		but:  []difference{but(`stable_secret.*`, "it is only written")}},
	{name: "groups of a bridge",
		setup: `ip link add brm type bridge mcast_snooping 1; ip link add brm1 type veth peer name brm2; ip link set brm1 master brm; for l in brm brm1 brm2; do ip link set $l up; done; sleep 0.1
			bridge mdb add dev brm port brm1 grp 239.1.2.3 permanent; bridge mdb add dev brm port brm1 grp ff15::7 permanent`,
		look: `bridge mdb show dev brm | sort`},
	{name: "multicast addresses",
		setup: `ip link add mc0 type veth peer name mc1; ip link set mc0 up; ip maddr add 33:33:00:00:00:77 dev mc0; ip maddr add 01:00:5e:01:02:03 dev mc0`,
		look:  `ip maddr show dev mc0 | sort`},
	{name: "queueing disciplines",
		setup: `ip link add qd0 type veth peer name qd1; ip link set qd0 up; tc qdisc add dev qd0 root handle 5: pfifo limit 33`,
		look:  `tc -j qdisc show dev qd0`,
		told:  "a restart will not bring back the queueing discipline pfifo of network interface qd0, with its classes and filters (tc qdisc)"},
}

// addresses are what interfaces have, and where packets go.
var addresses = []fixture{
	{name: "IPv4 addresses",
		setup: `ip link add a4 type veth peer name a4p; ip link set a4 up; ip link set a4p up; ip addr add 10.20.0.1/24 dev a4; ip addr add 10.20.0.2/24 dev a4 label a4:two; ip addr add 10.21.0.1 peer 10.21.0.9/32 dev a4 scope link
			ip addr add 10.22.0.1/16 broadcast 10.22.0.255 dev a4 metric 77 noprefixroute; ip addr add 10.23.0.1/24 dev a4 valid_lft 90000 preferred_lft 80000; ip addr add 10.24.0.1/24 dev a4 mngtmpaddr 2>/dev/null || true`,
		look: show + `a4; ip -j route show table all dev a4`},
	{name: "IPv6 addresses",
		setup: `ip link add a6 type veth peer name a6p; ip link set a6 up; ip link set a6p up; ip addr add fd20::1/64 dev a6 nodad; ip addr add fd20::2/64 dev a6 nodad noprefixroute home; ip addr add fd21::1 peer fd21::2/128 dev a6 nodad
			ip addr add fd22::1/64 dev a6 nodad valid_lft 90000 preferred_lft 0; ip addr add fd23::1/64 dev a6 nodad metric 99; ip addr add fd24::1/64 dev a6 nodad valid_lft 90000 preferred_lft 80000 mngtmpaddr; ip addr add ff15::99/128 dev a6 autojoin
			for i in $(seq 100); do ip addr show dev a6 | grep -q tentative || break; sleep 0.05; done; for i in $(seq 100); do ip addr show dev a6p | grep -q tentative || break; sleep 0.05; done`,
		look: show + `a6; ip -6 -j route show table all dev a6`},
	{name: "IPv6 anycast",
		setup: `ip link add any6 type veth peer name any6p; ip link set any6 up; sysctl -qw net.ipv6.conf.any6.forwarding=1; ip addr add fd2a::1/64 dev any6 nodad`,
		look:  `grep any6 /proc/net/anycast6 | busybox awk '{$1=""; print}'; ip -6 maddr show dev any6`},
	{name: "routes in tables",
		setup: `ip link add r4 type veth peer name r4p; ip link set r4 up; ip link set r4p up; ip addr add 10.30.0.1/24 dev r4; ip route add 10.31.0.0/16 via 10.30.0.9 table 100 metric 7 proto static src 10.30.0.1; ip route add 10.32.0.0/16 dev r4 scope link table 30000 mtu lock 1300 advmss 1200 rtt 100 initcwnd 20 quickack 1 congctl reno
			ip route add blackhole 10.33.0.0/16 table 100; ip route add unreachable 10.34.0.0/16; ip route add prohibit 10.35.0.0/16 metric 4; ip route add throw 10.36.0.0/16 table 100; ip route add 10.37.0.0/16 via 10.99.0.1 dev r4 onlink; ip route add 10.38.0.0/16 tos 0x10 dev r4; ip route add local 10.39.0.0/16 dev lo table 100; ip route add default via 10.30.0.254 metric 500`,
		look: `ip -j -d route show table 100; ip -j -d route show table 30000; ip -j -d route show | grep -v '^$'`},
	{name: "multipath routes",
		setup: `ip link add mp0 type veth peer name mp1; ip link set mp0 up; ip link set mp1 up; ip addr add 10.40.0.1/24 dev mp0; ip addr add fd40::1/64 dev mp0 nodad; ip route add 10.41.0.0/16 table 40 nexthop via 10.40.0.2 weight 3 nexthop via 10.40.0.3 weight 5 nexthop dev mp1
			ip -6 route add fd41::/64 table 40 nexthop via fd40::2 weight 2 nexthop via fd40::3 weight 1`,
		look: `ip -j -d route show table 40; ip -6 -j -d route show table 40`},
	{name: "IPv6 routes",
		setup: `ip link add r6 type veth peer name r6p; ip link set r6 up; ip link set r6p up; ip addr add fd30::1/64 dev r6 nodad; ip -6 route add fd31::/64 via fd30::9 metric 7 table 60 mtu 1400 hoplimit 9; ip -6 route add fd32::/64 dev r6 pref high table 60; ip -6 route add unreachable fd33::/64 table 60; ip -6 route add blackhole fd34::/64 table 60; ip -6 route add fd35::/64 from fd30::/64 dev r6 table 60 2>/dev/null || true; ip -6 route add fd36::/64 dev r6 expires 90000 table 60`,
		look:  `ip -6 -j -d route show table 60`,
		but:   []difference{but(`"expires": *\d+`, "what remains of a time gets less")}},
	{name: "nexthops",
		setup: `ip link add nh0 type veth peer name nh1; ip link set nh0 up; ip link set nh1 up; ip link set lo up; ip addr add 10.50.0.1/24 dev nh0; ip nexthop add id 1 via 10.50.0.2 dev nh0 proto 7; ip nexthop add id 2 via 10.50.0.3 dev nh0; ip nexthop add id 3 blackhole; ip nexthop add id 9 group 1,3/2; ip nexthop add id 10 group 1/2 type resilient buckets 8 idle_timer 60
			ip route add 10.51.0.0/16 nhid 9 table 50`,
		look: `ip -j -d nexthop; ip -j -d route show table 50`,
		but:  []difference{but(`"unbalanced_time": *[0-9.]+`, "it runs")}},
	{name: "rules",
		setup: `ip rule add fwmark 5/0xff table 100 priority 500; ip rule add from 10.1.0.0/16 to 10.2.0.0/16 iif lo lookup 101 priority 501; ip rule add ipproto tcp dport 80-90 sport 1000 table 102 priority 502; ip rule add uidrange 1000-2000 prohibit priority 503; ip rule add oif lo tos 0x10 table 104 suppress_prefixlength 0 priority 504 protocol 9
			ip rule add not from 10.9.0.1 goto 600 priority 505; ip rule add blackhole priority 600; ip -6 rule add from fd00::/8 table 77 priority 77; ip rule del priority 32767`,
		look: `ip -j -d rule; ip -6 -j -d rule`},
	{name: "neighbours",
		setup: `ip link add ne0 type veth peer name ne1; ip link set ne0 up; ip link set ne1 up; ip addr add 10.60.0.1/24 dev ne0; ip neigh add 10.60.0.2 lladdr 02:00:00:00:00:02 dev ne0 nud permanent; ip neigh add 10.60.0.3 lladdr 02:00:00:00:00:03 dev ne0 nud noarp protocol 7; ip neigh add fd60::2 lladdr 02:00:00:00:00:04 router dev ne0; ip neigh add proxy 10.60.0.77 dev ne0; ip -6 neigh add proxy fd60::77 dev ne0
			ip neigh add 10.60.0.5 lladdr 02:00:00:00:00:05 dev ne0 extern_learn`,
		look: `ip neigh show dev ne0 nud all | grep -v ff02: | sort; ip -j neigh show proxy dev ne0; ip -6 -j neigh show proxy dev ne0`},
	{name: "settings of the namespace",
		setup: `cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo "1024 60000" >ipv4/ip_local_port_range; echo 77 >ipv4/ip_default_ttl; echo "0 1000" >ipv4/ping_group_range; echo 3 >ipv4/tcp_syn_retries; echo 0 >ipv4/tcp_sack; echo "4096 16384 65536" >ipv4/tcp_rmem; echo 1 >ipv6/bindv6only; echo 1 >ipv6/conf/all/forwarding; echo 100 >ipv4/ip_unprivileged_port_start; echo 99 >core/somaxconn; echo 1 >ipv4/conf/default/proxy_arp
			echo 8000,8010-8012 >ipv4/ip_local_reserved_ports; echo 1 >ipv4/fib_multipath_hash_policy`,
		look: `cd /proc/sys/net; for f in $(find . -type f ! -path '*/conf/*' ! -path '*/neigh/*' | sort) $(find . -path '*/default/*' -type f | sort); do echo $f $(cat $f 2>/dev/null); done`,
		but: []difference{
			but(`(nf_conntrack_count|tcp_fastopen_key|fib_sync_mem|rt_cache_rebuild).*`, "they count, or are only written"),
			but(`netfilter/nf_conntrack_(buckets|max).*`, "they are the machine's"),
		}},
	{name: "labels of addresses",
		setup: `ip addrlabel add prefix fd77::/16 label 777; ip addrlabel del prefix 2002::/16 label 2 || true`,
		look:  `ip -j addrlabel`},
	{name: "tokens",
		setup: `ip link add to0 type veth peer name to1; ip link set to0 up; ip link set to1 up; sysctl -qw net.ipv6.conf.to0.forwarding=0 net.ipv6.conf.to0.accept_ra=1; ip token set ::77 dev to0`,
		look:  `ip -j token get dev to0`},
	{name: "IPsec policies",
		setup: `ip xfrm policy add src 10.71.0.0/16 dst 10.72.0.0/16 dir out priority 7 tmpl src 10.70.0.1 dst 10.70.0.2 proto esp reqid 5 mode tunnel || skip "the kernel has no IPsec"; ip xfrm policy add src 10.72.0.0/16 dst 10.71.0.0/16 dir in tmpl src 10.70.0.2 dst 10.70.0.1 proto esp mode tunnel`,
		look:  `ip xfrm policy`},
}
