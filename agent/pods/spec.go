package pods

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"

	"github.com/weirproxy/weir/internal/cgroup2"
)

// Mode is how outbound connections are caught.
type Mode string

const (
	// Mark catches them by a mark, a route and sk_lookup: the way to go.
	Mark Mode = "mark"
	// Rewrite catches them by rewriting connects, for proxies that are not
	// weir and for what marking cannot do.
	Rewrite Mode = "rewrite"
)

// Policy is what happens to connections while the proxy is silent.
type Policy string

const (
	// Closed fails them.
	Closed Policy = "closed"
	// Open leaves them alone.
	Open Policy = "open"
)

// Spec is a pod to manage. Netns or Cgroup must be given.
type Spec struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // default: "default"
	// Netns is the path of its network namespace. Empty: that of the first
	// process in Cgroup.
	Netns string `json:"netns,omitempty"`
	// Cgroup is its cgroup v2 directory. If given, the agent makes sure that
	// weir's programs are effective there.
	Cgroup string `json:"cgroup,omitempty"`
	// Addresses are its own; empty: those that its interfaces have.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Mode      Mode         `json:"mode,omitempty"`   // default: mark
	Policy    Policy       `json:"policy,omitempty"` // default: closed
	// Inbound catches connections to the pod; default: true.
	Inbound *bool `json:"inbound,omitempty"`
	// KeepClientAddress has the proxy connect to the pod's own program from
	// the client's address, so that the program sees it. Linux 5.17.
	KeepClientAddress   bool     `json:"keep_client_address,omitempty"`
	ExcludeInboundPorts []uint16 `json:"exclude_inbound_ports,omitempty"`
	Exclusions
	// DNS catches what the pod asks of DNS servers; default: the agent's.
	DNS *bool `json:"dns,omitempty"`
	// ProxyCgroup is the cgroup of a proxy that runs in the pod and listens
	// for itself, on OutboundPort: the agent then makes no sockets and
	// expects no heartbeat. It needs mode rewrite.
	ProxyCgroup string `json:"proxy_cgroup,omitempty"`
	// OutboundPort is the outbound listener's; default: 15001.
	OutboundPort uint16 `json:"outbound_port,omitempty"`
	// Identity is who the pod is, besides its name.
	Identity Identity `json:"identity,omitzero"`
}

// Identity is what is known of a pod's owner. It changes nothing of how the
// pod is caught.
type Identity struct {
	ServiceAccount string            `json:"service_account,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
}

// The ports of the listeners in the pod, unless they are taken there.
const (
	DefaultOutboundPort = 15001
	DefaultInboundPort  = 15006
	DefaultDNSPort      = 15053
)

// Key names a pod: NAMESPACE/NAME.
func Key(namespace, name string) string { return namespace + "/" + name }

// Key names the pod.
func (s *Spec) Key() string { return Key(s.Namespace, s.Name) }

// External reports whether the pod's proxy is its own business.
func (s *Spec) External() bool { return s.ProxyCgroup != "" }

// Complete fills in the defaults and checks the rest.
func (s *Spec) Complete() error {
	s.fill()
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		refuse("name: missing")
	}
	if s.Netns == "" && s.Cgroup == "" {
		refuse("netns or cgroup: one of them must be given")
	}
	for field, path := range map[string]string{"netns": s.Netns, "cgroup": s.Cgroup, "proxy_cgroup": s.ProxyCgroup} {
		if path != "" && !filepath.IsAbs(path) {
			refuse("%s: %q is not an absolute path", field, path)
		}
	}
	if s.Mode != Mark && s.Mode != Rewrite {
		refuse("mode: %q is neither %s nor %s", s.Mode, Mark, Rewrite)
	}
	if s.Policy != Closed && s.Policy != Open {
		refuse("policy: %q is neither %s nor %s", s.Policy, Closed, Open)
	}
	for i, a := range s.Addresses {
		if !a.IsGlobalUnicast() || a.Is4In6() {
			refuse("addresses[%d]: %s is not an address that a pod has", i, a)
		}
	}
	if err := s.Exclusions.check(); err != nil {
		errs = append(errs, err)
	}
	if s.KeepClientAddress && !*s.Inbound {
		refuse("keep_client_address: needs inbound")
	}
	if s.External() && (s.Mode != Rewrite || *s.Inbound) {
		refuse("proxy_cgroup: needs mode %s and inbound false", Rewrite)
	}
	if s.External() && s.DNS != nil && *s.DNS {
		refuse("dns: a proxy in the pod (proxy_cgroup) does not answer it")
	}
	return errors.Join(errs...)
}

func (s *Spec) fill() {
	if s.Namespace == "" {
		s.Namespace = "default"
	}
	if s.Mode == "" {
		s.Mode = Mark
	}
	if s.Policy == "" {
		s.Policy = Closed
	}
	if s.Inbound == nil {
		yes := true
		s.Inbound = &yes
	}
	if s.OutboundPort == 0 {
		s.OutboundPort = DefaultOutboundPort
	}
}

// SameSockets reports whether o's sockets and routes serve s as well: whether
// they differ in policy, exclusions and identity only. Where the pod is found
// is not compared.
func (s Spec) SameSockets(o Spec) bool {
	for _, p := range []*Spec{&s, &o} {
		p.Netns, p.Cgroup, p.Policy, p.ExcludeInboundPorts, p.Exclusions, p.Identity = "", "", "", nil, Exclusions{}, Identity{}
	}
	return reflect.DeepEqual(s, o)
}

// NetnsPath is where the pod's network namespace is now.
func (s *Spec) NetnsPath() (string, error) {
	if s.Netns != "" {
		return s.Netns, nil
	}
	pids, err := cgroup2.PidsBelow(s.Cgroup)
	if err != nil {
		return "", err
	}
	if len(pids) == 0 {
		return "", fmt.Errorf("cgroup %s has no process to take the network namespace from", s.Cgroup)
	}
	return "/proc/" + strconv.Itoa(pids[0]) + "/ns/net", nil
}
