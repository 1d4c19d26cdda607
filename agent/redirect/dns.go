package redirect

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
)

// DNS4 and DNS6 are the kinds of the UDP sockets that take a pod's DNS
// questions, bound to the port that [DNS] has. They are in weir_listeners so
// that one can be told from another; no program looks for them there.
const (
	DNS4 = bpf.WeirListenerKindLISTENER_DNS4
	DNS6 = bpf.WeirListenerKindLISTENER_DNS6
)

// DNS is where the proxy answers the questions that a pod sends to port 53: on
// the aliases of the servers that it asks. 0: the questions of that family are
// left alone.
type DNS struct{ Port4, Port6 uint16 }

// DNSAliases6 is what must be local in the network namespace for [DNS] with a
// Port6. The IPv4 aliases are loopback addresses, which are local everywhere.
var DNSAliases6 = netip.MustParsePrefix("fd77:6569:7200:53::/120")

// EnableDNS attaches what only DNS needs: it costs every datagram of the
// cgroup a little. The way back must be there before a question is caught.
func (r *Redirect) EnableDNS() error {
	return r.attachCgroup(r.opts.ConnectCgroup,
		hook{"dns_recvmsg4", ebpf.AttachCGroupUDP4Recvmsg, r.objects.WeirDnsRecvmsg4},
		hook{"dns_recvmsg6", ebpf.AttachCGroupUDP6Recvmsg, r.objects.WeirDnsRecvmsg6},
		hook{"dns_getpeername4", ebpf.AttachCgroupInet4GetPeername, r.objects.WeirDnsGetpeername4},
		hook{"dns_getpeername6", ebpf.AttachCgroupInet6GetPeername, r.objects.WeirDnsGetpeername6},
		hook{"dns_sendmsg4", ebpf.AttachCGroupUDP4Sendmsg, r.objects.WeirDnsSendmsg4},
		hook{"dns_sendmsg6", ebpf.AttachCGroupUDP6Sendmsg, r.objects.WeirDnsSendmsg6},
		hook{"dns_connect4", ebpf.AttachCGroupInet4Connect, r.objects.WeirDnsConnect4},
		hook{"dns_connect6", ebpf.AttachCGroupInet6Connect, r.objects.WeirDnsConnect6},
	)
}

// DNSServersFD is the table of the servers that the pods have asked: mmap it
// to read it (see package dnsproxy). It is r's. The kernel maps no descriptor
// that is for reading only; a proxy that writes there deceives about answers
// that it makes anyway.
func (r *Redirect) DNSServersFD() int { return r.objects.WeirDnsServers.FD() }

// DNSOf is how the pod's DNS is caught, and its place in the table of servers;
// ok is false if it is not.
func (r *Redirect) DNSOf(cookie uint64) (slot uint32, d DNS, ok bool, err error) {
	var value bpf.WeirDnsPod
	switch err := r.objects.WeirDnsPods.Lookup(cookie, &value); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return 0, d, false, nil
	case err != nil:
		return 0, d, false, fmt.Errorf("weir_dns_pods: %w", err)
	}
	return value.Slot, DNS{value.Port4, value.Port6}, true, nil
}

// putDNS makes the pod's questions caught, or no longer if it has no DNS.
func (r *Redirect) putDNS(p Pod) error {
	if p.DNS == (DNS{}) {
		return r.removeDNS(p.Cookie)
	}
	if err := r.EnableDNS(); err != nil {
		return err
	}
	slot, _, ok, err := r.DNSOf(p.Cookie)
	if err == nil && !ok {
		slot, err = r.takeDNSSlot()
	}
	if err != nil {
		return err
	}
	dns := bpf.WeirDnsPod{Slot: slot, Port4: p.DNS.Port4, Port6: p.DNS.Port6}
	if err := r.objects.WeirDnsPods.Put(p.Cookie, dns); err != nil {
		return fmt.Errorf("weir_dns_pods, pod %d: %w", p.ID, err)
	}
	return nil
}

func (r *Redirect) removeDNS(cookie uint64) error {
	if err := r.objects.WeirDnsPods.Delete(cookie); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("weir_dns_pods: %w", err)
	}
	return nil
}

// takeDNSSlot finds a slot that no pod has, and empties it of what the last
// pod asked.
func (r *Redirect) takeDNSSlot() (uint32, error) {
	taken := map[uint32]bool{}
	var cookie uint64
	var dns bpf.WeirDnsPod
	it := r.objects.WeirDnsPods.Iterate()
	for it.Next(&cookie, &dns) {
		taken[dns.Slot] = true
	}
	if err := it.Err(); err != nil {
		return 0, fmt.Errorf("weir_dns_pods: %w", err)
	}
	for slot := range r.objects.WeirDnsServers.MaxEntries() {
		if taken[slot] {
			continue
		}
		if err := r.objects.WeirDnsServers.Put(slot, bpf.WeirDnsServers{}); err != nil {
			return 0, fmt.Errorf("weir_dns_servers: %w", err)
		}
		return slot, nil
	}
	return 0, errors.New("weir_dns_servers is full")
}
