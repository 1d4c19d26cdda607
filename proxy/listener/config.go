package listener

import (
	"fmt"
	"slices"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// AccessLogCompiler compiles the access logs at path, for listeners and
// network filters.
type AccessLogCompiler func(path field.Path, logs []*accesslogv3.AccessLog, ctx *FactoryContext) ([]AccessLog, error)

// config is what a listener was compiled from.
type config struct {
	proto   *listenerv3.Listener
	version string
	static  bool
	updated time.Time
}

// perEventDefault bounds the connections accepted in one go, so that a flood
// of them does not hold up those that are served.
const perEventDefault = 64

// compiler turns one Listener proto into a Listener.
type compiler struct {
	*Manager
	path  field.Path
	proto *listenerv3.Listener
	out   *Listener
	// old is the listener of the same name; with inPlace the new one differs
	// in its chains only and takes over all else.
	old     *Listener
	inPlace bool
}

func (c *compiler) compile(version string, static bool) (*Listener, error) {
	p, l := c.proto, c.out
	l.config = config{proto: p, version: version, static: static, updated: c.server.Main.Time()}
	l.name, l.warm = p.GetName(), &warming{}
	if err := field.Only(c.path, p, "name", "address", "additional_addresses", "stat_prefix", "filter_chains", "default_filter_chain", "use_original_dst",
		"per_connection_buffer_limit_bytes", "metadata", "deprecated_v1", "drain_type", "listener_filters", "listener_filters_timeout",
		"continue_on_listener_filters_timeout", "transparent", "freebind", "socket_options", "tcp_fast_open_queue_length", "traffic_direction",
		"connection_balance_config", "reuse_port", "enable_reuse_port", "access_log", "tcp_backlog_size", "max_connections_to_accept_per_socket_event",
		"bind_to_port", "ignore_global_conn_limit", "bypass_overload_manager", "tcp_keepalive", "udp_listener_config", "filter_chain_matcher", "internal_listener", "enable_mptcp"); err != nil {
		return nil, err
	}
	if err := protos.Validate(c.path, p); err != nil {
		return nil, err
	}
	c.settings()
	steps := []func() error{c.addresses, c.state, c.accessLogs, c.listenerFilters, c.chains}
	if isUDP(p.GetAddress()) {
		steps = []func() error{c.addresses, c.udpSettings, c.state, c.accessLogs, c.udpFilters}
	} else if len(p.GetFilterChains()) == 0 && p.GetDefaultFilterChain() == nil {
		return nil, c.path.Dot("filter_chains").Errorf("listener %q has no filter chains", l.name)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (c *compiler) settings() {
	p, l := c.proto, c.out
	l.internal = p.GetInternalListener() != nil
	l.direction = Direction(p.GetTrafficDirection())
	l.modifyOnly = p.GetDrainType() == listenerv3.Listener_MODIFY_ONLY
	l.originalDst = p.GetUseOriginalDst().GetValue()
	l.continueOnTimeout = p.GetContinueOnListenerFiltersTimeout()
	l.ignoreGlobalLimit = p.GetIgnoreGlobalConnLimit()
	l.bypassOverload = p.GetBypassOverloadManager()
	l.limitKey = "envoy.resource_limits.listener." + l.name + ".connection_limit"
	l.filtersTimeout = filtersTimeoutDefault
	if d := p.GetListenerFiltersTimeout(); d != nil {
		l.filtersTimeout = d.AsDuration()
	}
	l.bufferLimit = network.DefaultBufferLimit
	if v := p.GetPerConnectionBufferLimitBytes(); v != nil {
		l.bufferLimit = v.GetValue()
	}
	l.perEvent = perEventDefault
	if v := p.GetMaxConnectionsToAcceptPerSocketEvent(); v != nil {
		l.perEvent = int(v.GetValue())
	}
}

// state makes what lives across connections, or takes the old listener's.
func (c *compiler) state() error {
	l := c.out
	if c.inPlace {
		l.open, l.drain, l.balancer, l.bindings, l.statPrefix = c.old.open, c.old.drain, c.old.balancer, c.old.bindings, c.old.statPrefix
	} else {
		l.open, l.drain = &limit{}, c.drain.child()
		if l.modifyOnly {
			l.drain.parent = nil
		}
		prefix := c.proto.GetStatPrefix()
		if prefix == "" {
			prefix = l.Addresses()[0].String()
		}
		l.statPrefix = "listener." + stats.Sanitize(prefix) + "."
		balance, err := c.balance()
		if err != nil {
			return err
		}
		if balance {
			l.balancer = &balancer{open: make([]int, len(c.server.Workers))}
		}
	}
	l.stats = stats.NewGroup[Stats](c.server.Stats, stats.Scope{Prefix: l.statPrefix})
	if l.udp != nil {
		l.udp.stats = stats.NewGroup[UDPStats](c.server.Stats, stats.Scope{Prefix: l.statPrefix + "udp."})
	}
	for w := range c.server.Workers {
		l.handlerStats = append(l.handlerStats, stats.NewGroup[HandlerStats](c.server.Stats, stats.Scope{Prefix: fmt.Sprintf("%sworker_%d.", l.statPrefix, w)}))
	}
	return nil
}

func (c *compiler) balance() (bool, error) {
	b := c.proto.GetConnectionBalanceConfig()
	if b == nil {
		return false, nil
	}
	path := c.path.Dot("connection_balance_config")
	if err := field.Only(path, b, "exact_balance"); err != nil {
		return false, err
	}
	return b.GetExactBalance() != nil, nil
}

func (c *compiler) accessLogs() (err error) {
	c.out.accessLogs, err = c.server.accessLogs(c.path.Dot("access_log"), c.proto.GetAccessLog(), c.context(""))
	return err
}

func (s *Server) accessLogs(path field.Path, logs []*accesslogv3.AccessLog, ctx *FactoryContext) ([]AccessLog, error) {
	if len(logs) == 0 {
		return nil, nil
	}
	if s.AccessLog == nil {
		return nil, path.Errorf("access logs are not available here")
	}
	return s.AccessLog(path, logs, ctx)
}

// AccessLogs compiles the access logs of a network filter.
func (c *FactoryContext) AccessLogs(path field.Path, logs []*accesslogv3.AccessLog) ([]AccessLog, error) {
	return c.Server.accessLogs(path, logs, c)
}

func (c *compiler) context(chain string) *FactoryContext {
	l := c.out
	return &FactoryContext{Server: c.server, Listener: l.name, StatPrefix: l.statPrefix, Chain: chain, Metadata: metadata(c.proto.GetMetadata()), Direction: l.direction, Bound: l.bind, Static: l.static, Drain: l.drain, warm: l.warm, closers: &l.closers}
}

func metadata(m *corev3.Metadata) map[string]map[string]any {
	if len(m.GetFilterMetadata()) == 0 {
		return nil
	}
	out := map[string]map[string]any{}
	for namespace, s := range m.GetFilterMetadata() {
		out[namespace] = s.AsMap()
	}
	return out
}

// typeURL is what factories are found by: the type of a, also inside a
// TypedStruct.
func typeURL(a *anypb.Any) string { return "type.googleapis.com/" + protos.TypeName(a) }

func unknown(path field.Path, kind, name string, config *anypb.Any) error {
	if config == nil {
		return path.Dot("typed_config").Errorf("%s %q has no configuration, whose type says what it is", kind, name)
	}
	return path.Dot("typed_config").Errorf("weir has no %s %q of type %s", kind, name, protos.TypeName(config))
}

// AddOrUpdate takes in a listener configuration that lies at path. changed is
// false when there is nothing to do: the listener is there as it is, or it is
// a static one that an update may not change. An error leaves all as it was.
func (m *Manager) AddOrUpdate(path field.Path, p *listenerv3.Listener, version string, static bool) (changed bool, err error) {
	if p.GetName() == "" {
		p = proto.Clone(p).(*listenerv3.Listener)
		m.unnamed++
		p.Name = fmt.Sprintf("unnamed-%d", m.unnamed)
	}
	old := m.warming[p.GetName()]
	if old == nil {
		old = m.active[p.GetName()]
	}
	if old != nil && (old.static && !static || proto.Equal(old.proto, p)) {
		return false, nil
	}
	c := &compiler{Manager: m, path: path, proto: p, out: &Listener{}, old: old}
	c.inPlace = old != nil && m.started && old == m.active[p.GetName()] && onlyChainsDiffer(old.proto, p)
	l, err := c.compile(version, static)
	if err == nil && !c.inPlace {
		err = m.checkDuplicate(path, l)
	}
	if err == nil {
		if c.inPlace {
			m.replaceInPlace(l, old)
		} else {
			err = path.Wrap(m.install(l, old))
		}
	}
	if err != nil {
		c.out.close()
		return false, err
	}
	return true, nil
}

// checkDuplicate refuses an address that another listener has.
func (m *Manager) checkDuplicate(path field.Path, l *Listener) error {
	for _, set := range []map[string]*Listener{m.active, m.warming} {
		for name, other := range set {
			if name == l.name || other.bind != l.bind {
				continue
			}
			for _, b := range l.bindings {
				for _, o := range other.bindings {
					if b.asked == o.asked && b.udp == o.udp && b.asked.Port() != 0 {
						return path.Dot("address").Errorf("listener %q has the address %v of listener %q", l.name, b.asked, name)
					}
				}
			}
		}
	}
	return nil
}

// Dump is one listener's state, for /config_dump and /listeners.
type Dump struct {
	Name      string
	Addresses []network.Address
	Config    *listenerv3.Listener
	Version   string
	Static    bool
	Updated   time.Time
	State     string // "active", "warming" or "draining"
}

// Dump lists all listeners.
func (m *Manager) Dump() []Dump {
	var out []Dump
	add := func(l *Listener, state string) {
		out = append(out, Dump{l.name, l.Addresses(), l.proto, l.version, l.static, l.updated, state})
	}
	for _, l := range m.active {
		add(l, "active")
	}
	for _, l := range m.warming {
		add(l, "warming")
	}
	for l := range m.draining {
		add(l, "draining")
	}
	slices.SortStableFunc(out, func(a, b Dump) int { return strings.Compare(a.Name, b.Name) })
	return out
}
