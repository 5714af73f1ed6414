# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The same services as bench/services.c makes them, as the rules that kube-proxy writes for them.

iptables: KUBE-SERVICES walks over all services; KUBE-SVC-* marks clients from outside the pod network for masquerading and
draws an endpoint; KUBE-SEP-* translates; KUBE-POSTROUTING masquerades what is marked. nftables: one verdict map from
(address, protocol, port) to a chain per service, which draws from a verdict map of endpoint chains.
"""
import base64
import hashlib

VIP_NET = 0x0A600000
POD_NET = 0x0A800000
POD_CIDR = "10.128.0.0/9"
PORT = 80
POD_PORT = 8080
PROTO = "udp"


def address(n):
    return ".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0))


def digest(text):
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()


class Service:
    def __init__(self, s, services, endpoints):
        first = s * endpoints // services
        last = (s + 1) * endpoints // services
        self.vip = address(VIP_NET + 1 + s)
        self.port_name = f"bench/svc-{s}:{PROTO}"
        self.endpoints = [address(POD_NET + 1 + e) for e in range(first, last)]
        self.svc = "KUBE-SVC-" + digest(self.port_name + PROTO)[:16]
        self.chain = f"service-{digest(self.port_name)[:8]}-bench/svc-{s}/{PROTO}/{PROTO}"

    def sep(self, endpoint):
        return "KUBE-SEP-" + digest(self.port_name + PROTO + f"{endpoint}:{POD_PORT}")[:16]

    def endpoint_chain(self, endpoint):
        tail = self.chain.split("-", 2)[2]
        return f"endpoint-{digest(self.port_name + endpoint)[:8]}-{tail}__{endpoint}/{POD_PORT}"


def make(services, endpoints):
    return [Service(s, services, endpoints) for s in range(services)]


# ---- iptables ----

FILTER = """*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
%s-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
FILTER_JUMPS = """-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
"""
NAT_JUMPS = """-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
"""
NAT_FIXED = """-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
"""


def iptables_portal(service):
    return (f'-A KUBE-SERVICES -m comment --comment "{service.port_name} cluster IP" -m {PROTO} -p {PROTO} '
            f"-d {service.vip}/32 --dport {PORT} -j {service.svc}")


def iptables_service(service, endpoints):
    out = [f'-A {service.svc} -m comment --comment "{service.port_name} cluster IP" -m {PROTO} -p {PROTO} -d {service.vip}/32 '
           f"--dport {PORT} ! -s {POD_CIDR} -j KUBE-MARK-MASQ"]
    for i, endpoint in enumerate(endpoints):
        draw = ""
        if i < len(endpoints) - 1:
            draw = f"-m statistic --mode random --probability {1 / (len(endpoints) - i):.10f} "
        sep = service.sep(endpoint)
        comment = f'-m comment --comment "{service.port_name} -> {endpoint}:{POD_PORT}"'
        out.append(f"-A {service.svc} {comment} {draw}-j {sep}")
        out.append(f"-A {sep} -m comment --comment {service.port_name} -s {endpoint}/32 -j KUBE-MARK-MASQ")
        out.append(f"-A {sep} -m comment --comment {service.port_name} -m {PROTO} -p {PROTO} "
                   f"-j DNAT --to-destination {endpoint}:{POD_PORT}")
    return out


def iptables_nat(services, changed, full, removed=()):
    """A *nat section: portals of all services, chains of the changed ones."""
    lines = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-NODEPORTS - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-MARK-MASQ - [0:0]"]
    for service, endpoints in changed:
        lines.append(f":{service.svc} - [0:0]")
        lines += [f":{service.sep(e)} - [0:0]" for e in endpoints]
    lines += [f":{chain} - [0:0]" for chain in removed]
    lines.append((NAT_JUMPS if full else "") + NAT_FIXED.rstrip())
    lines += [iptables_portal(service) for service in services]
    lines.append('-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this '
                 'chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS')
    for service, endpoints in changed:
        lines += iptables_service(service, endpoints)
    lines += [f"-X {chain}" for chain in removed]
    lines += ["COMMIT", ""]
    return "\n".join(lines)


def iptables_full(services):
    return FILTER % FILTER_JUMPS + iptables_nat(services, [(s, s.endpoints) for s in services], True)


def iptables_change(services, s, reduced):
    """What a partial sync writes: the fixed chains, all portals, the chains of one service."""
    service = services[s]
    endpoints = service.endpoints[:-1] if reduced else service.endpoints
    removed = [service.sep(service.endpoints[-1])] if reduced else []
    return FILTER % "" + iptables_nat(services, [(service, endpoints)], False, removed)


# ---- nftables ----

NFT_BASE = """add table ip kube-proxy { comment "rules for kube-proxy" ; }
add chain ip kube-proxy filter-prerouting { type filter hook prerouting priority -110 ; }
add chain ip kube-proxy filter-input { type filter hook input priority -110 ; }
add chain ip kube-proxy filter-forward { type filter hook forward priority -110 ; }
add chain ip kube-proxy filter-output { type filter hook output priority -110 ; }
add chain ip kube-proxy filter-output-post-dnat { type filter hook output priority -90 ; }
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }
add chain ip kube-proxy nat-output { type nat hook output priority -100 ; }
add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority 100 ; }
add chain ip kube-proxy firewall-check
add chain ip kube-proxy service-endpoints-check
add chain ip kube-proxy nodeport-endpoints-check
add chain ip kube-proxy cluster-ips-check
add chain ip kube-proxy services
add chain ip kube-proxy masquerading
add chain ip kube-proxy mark-for-masquerade
add chain ip kube-proxy reject-chain
add set ip kube-proxy cluster-ips { type ipv4_addr ; }
add set ip kube-proxy nodeport-ips { type ipv4_addr ; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy no-endpoint-nodeports { type inet_proto . inet_service : verdict ; }
add map ip kube-proxy firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy service-nodeports { type inet_proto . inet_service : verdict ; }
add element ip kube-proxy nodeport-ips { 198.18.0.1 }
add rule ip kube-proxy filter-prerouting ct state new jump firewall-check
add rule ip kube-proxy filter-input ct state new jump nodeport-endpoints-check
add rule ip kube-proxy filter-input ct state new jump service-endpoints-check
add rule ip kube-proxy filter-forward ct state new jump service-endpoints-check
add rule ip kube-proxy filter-forward ct state new jump cluster-ips-check
add rule ip kube-proxy filter-output ct state new jump service-endpoints-check
add rule ip kube-proxy filter-output ct state new jump firewall-check
add rule ip kube-proxy filter-output-post-dnat ct state new jump cluster-ips-check
add rule ip kube-proxy nat-prerouting jump services
add rule ip kube-proxy nat-output jump services
add rule ip kube-proxy nat-postrouting jump masquerading
add rule ip kube-proxy firewall-check ip daddr . meta l4proto . th dport vmap @firewall-ips
add rule ip kube-proxy service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add rule ip kube-proxy nodeport-endpoints-check ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
add rule ip kube-proxy reject-chain reject
add rule ip kube-proxy cluster-ips-check ip daddr @cluster-ips reject
add rule ip kube-proxy mark-for-masquerade mark set mark or 0x4000
add rule ip kube-proxy masquerading mark and 0x4000 == 0 return
add rule ip kube-proxy masquerading mark set mark xor 0x4000
add rule ip kube-proxy masquerading masquerade fully-random
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add rule ip kube-proxy services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
"""


def nft_draw(service, endpoints):
    targets = ", ".join(f"{i} : goto {service.endpoint_chain(e)}" for i, e in enumerate(endpoints))
    return [f"add rule ip kube-proxy {service.chain} ip daddr {service.vip} {PROTO} dport {PORT} ip saddr != {POD_CIDR} "
            "jump mark-for-masquerade",
            f"add rule ip kube-proxy {service.chain} numgen random mod {len(endpoints)} vmap {{ {targets} }}"]


def nft_endpoint(service, endpoint):
    chain = service.endpoint_chain(endpoint)
    return [f"add rule ip kube-proxy {chain} ip saddr {endpoint} jump mark-for-masquerade",
            f"add rule ip kube-proxy {chain} meta l4proto {PROTO} dnat to {endpoint}:{POD_PORT}"]


def nft_full(services):
    lines = [NFT_BASE.rstrip()]
    for service in services:
        lines.append(f"add chain ip kube-proxy {service.chain}")
        lines += [f"add chain ip kube-proxy {service.endpoint_chain(e)}" for e in service.endpoints]
    for service in services:
        lines.append(f"add element ip kube-proxy cluster-ips {{ {service.vip} }}")
        lines.append(f"add element ip kube-proxy service-ips {{ {service.vip} . {PROTO} . {PORT} : goto {service.chain} }}")
        lines += nft_draw(service, service.endpoints)
        for endpoint in service.endpoints:
            lines += nft_endpoint(service, endpoint)
    return "\n".join(lines) + "\n"


def nft_change(services, s, reduced):
    """The chain of the service is made again; the chain of the endpoint goes or comes."""
    service = services[s]
    last = service.endpoints[-1]
    lines = [] if reduced else [f"add chain ip kube-proxy {service.endpoint_chain(last)}"] + nft_endpoint(service, last)
    lines.append(f"flush chain ip kube-proxy {service.chain}")
    lines += nft_draw(service, service.endpoints[:-1] if reduced else service.endpoints)
    if reduced:
        lines.append(f"delete chain ip kube-proxy {service.endpoint_chain(last)}")
    return "\n".join(lines) + "\n"
