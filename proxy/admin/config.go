package admin

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Config is a bootstrap's admin section.
type Config struct {
	Network     string // "tcp" or "unix"
	Address     string // "127.0.0.1:9901", or a path, "@name" for an abstract one
	Mode        os.FileMode
	ProfilePath string // where /cpuprofiler writes
}

// defaultProfilePath is Envoy's.
const defaultProfilePath = "/var/log/envoy/envoy.prof"

// NewConfig reads the admin section of a bootstrap, whose path is p. An error
// names the field.
func NewConfig(p field.Path, admin *bootstrapv3.Admin) (Config, error) {
	if err := field.Only(p, admin, "access_log_path", "access_log", "profile_path", "address", "ignore_global_conn_limit"); err != nil {
		return Config{}, err
	}
	c := Config{ProfilePath: admin.GetProfilePath()}
	if c.ProfilePath == "" {
		c.ProfilePath = defaultProfilePath
	}
	p = p.Dot("address")
	switch a := admin.GetAddress().GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		return c, c.setSocket(p.Dot("socket_address"), a.SocketAddress)
	case *corev3.Address_Pipe:
		c.Network, c.Address, c.Mode = "unix", a.Pipe.GetPath(), os.FileMode(a.Pipe.GetMode())
		if c.Address == "" {
			return Config{}, p.Dot("pipe").Dot("path").Errorf("is empty")
		}
		return c, nil
	case nil:
		return Config{}, p.Errorf("is required: socket_address or pipe")
	default:
		return Config{}, p.Errorf("must be a socket_address or a pipe")
	}
}

func (c *Config) setSocket(p field.Path, a *corev3.SocketAddress) error {
	if err := field.Only(p, a, "address", "port_value", "protocol", "ipv4_compat"); err != nil {
		return err
	}
	if a.GetProtocol() != corev3.SocketAddress_TCP {
		return p.Dot("protocol").Errorf("must be TCP")
	}
	ip, err := netip.ParseAddr(a.GetAddress())
	if err != nil {
		return p.Dot("address").Errorf("%q is not an IP address", a.GetAddress())
	}
	if a.GetPortValue() > 65535 {
		return p.Dot("port_value").Errorf("%d is not a port", a.GetPortValue())
	}
	c.Network = "tcp4"
	if ip.Is6() {
		c.Network = "tcp6"
		if a.GetIpv4Compat() {
			c.Network = "tcp"
		}
	}
	c.Address = net.JoinHostPort(ip.String(), strconv.Itoa(int(a.GetPortValue())))
	return nil
}

// NewRouteTable draws up a route configuration for /routes. Source says where
// it came from ("static", "rds"), listeners who uses it.
func NewRouteTable(rc *routev3.RouteConfiguration, source, version string, listeners []string) RouteTable {
	t := RouteTable{Name: rc.GetName(), Source: source, Version: version, Listeners: listeners, VirtualHosts: []VirtualHost{}}
	for _, vh := range rc.GetVirtualHosts() {
		v := VirtualHost{Name: vh.GetName(), Domains: vh.GetDomains(), Routes: []Route{}}
		for _, r := range vh.GetRoutes() {
			out := Route{Name: r.GetName(), Match: describeMatch(r.GetMatch())}
			describeAction(r, &out)
			v.Routes = append(v.Routes, out)
		}
		t.VirtualHosts = append(t.VirtualHosts, v)
	}
	return t
}

func describeMatch(m *routev3.RouteMatch) string {
	var parts []string
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		parts = append(parts, "prefix "+p.Prefix)
	case *routev3.RouteMatch_Path:
		parts = append(parts, "path "+p.Path)
	case *routev3.RouteMatch_PathSeparatedPrefix:
		parts = append(parts, "path_separated_prefix "+p.PathSeparatedPrefix)
	case *routev3.RouteMatch_SafeRegex:
		parts = append(parts, "regex "+p.SafeRegex.GetRegex())
	case *routev3.RouteMatch_ConnectMatcher_:
		parts = append(parts, "CONNECT")
	default:
		parts = append(parts, "path_match_policy")
	}
	if m.GetGrpc() != nil {
		parts = append(parts, "gRPC")
	}
	for _, h := range m.GetHeaders() {
		parts = append(parts, "header "+describeHeader(h))
	}
	for _, q := range m.GetQueryParameters() {
		parts = append(parts, "query "+q.GetName()+describeString(q.GetStringMatch()))
	}
	for _, c := range m.GetCookies() {
		parts = append(parts, "cookie "+c.GetName()+describeString(c.GetStringMatch()))
	}
	if f := m.GetRuntimeFraction(); f != nil {
		per := map[typev3.FractionalPercent_DenominatorType]string{typev3.FractionalPercent_HUNDRED: "%", typev3.FractionalPercent_TEN_THOUSAND: "/10000", typev3.FractionalPercent_MILLION: "/1000000"}
		parts = append(parts, fmt.Sprintf("fraction %d%s", f.GetDefaultValue().GetNumerator(), per[f.GetDefaultValue().GetDenominator()]))
	}
	return strings.Join(parts, " and ")
}

func describeHeader(h *routev3.HeaderMatcher) string {
	not := ""
	if h.GetInvertMatch() {
		not = "not "
	}
	switch s := h.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return not + h.GetName() + describeString(s.StringMatch)
	case *routev3.HeaderMatcher_ExactMatch:
		//lint:ignore SA1019 old configurations still have it
		return not + h.GetName() + "=" + s.ExactMatch
	case *routev3.HeaderMatcher_PresentMatch:
		if !s.PresentMatch {
			return not + h.GetName() + " absent"
		}
		return not + h.GetName()
	case *routev3.HeaderMatcher_RangeMatch:
		return fmt.Sprintf("%s%s in [%d, %d)", not, h.GetName(), s.RangeMatch.GetStart(), s.RangeMatch.GetEnd())
	default:
		return not + h.GetName()
	}
}

func describeString(m *matcherv3.StringMatcher) string {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return "=" + p.Exact
	case *matcherv3.StringMatcher_Prefix:
		return "=" + p.Prefix + "*"
	case *matcherv3.StringMatcher_Suffix:
		return "=*" + p.Suffix
	case *matcherv3.StringMatcher_Contains:
		return "=*" + p.Contains + "*"
	case *matcherv3.StringMatcher_SafeRegex:
		return "~" + p.SafeRegex.GetRegex()
	default:
		return ""
	}
}

func describeAction(r *routev3.Route, out *Route) {
	switch a := r.GetAction().(type) {
	case *routev3.Route_Route:
		describeClusters(a.Route, out)
	case *routev3.Route_Redirect:
		out.Action = "redirect " + describeRedirect(a.Redirect)
	case *routev3.Route_DirectResponse:
		out.Action = fmt.Sprintf("direct response %d", a.DirectResponse.GetStatus())
	case *routev3.Route_NonForwardingAction:
		out.Action = "non-forwarding"
	case *routev3.Route_FilterAction:
		out.Action = "filter action"
	default:
		out.Action = "no action"
	}
}

func describeClusters(a *routev3.RouteAction, out *Route) {
	switch c := a.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		out.Clusters = []WeightedCluster{{c.Cluster, 1, "100 %"}}
	case *routev3.RouteAction_ClusterHeader:
		out.Action = "cluster from header " + c.ClusterHeader
	case *routev3.RouteAction_WeightedClusters:
		total := uint64(0)
		for _, w := range c.WeightedClusters.GetClusters() {
			total += uint64(w.GetWeight().GetValue())
		}
		for _, w := range c.WeightedClusters.GetClusters() {
			name := w.GetName()
			if name == "" {
				name = "from header " + w.GetClusterHeader()
			}
			share := strconv.FormatFloat(100*float64(w.GetWeight().GetValue())/float64(max(1, total)), 'f', 1, 64)
			out.Clusters = append(out.Clusters, WeightedCluster{name, w.GetWeight().GetValue(), strings.TrimSuffix(share, ".0") + " %"})
		}
	default:
		out.Action = "cluster specifier plugin " + a.GetClusterSpecifierPlugin()
	}
}

func describeRedirect(r *routev3.RedirectAction) string {
	scheme, path := r.GetSchemeRedirect(), r.GetPathRedirect()
	if r.GetHttpsRedirect() {
		scheme = "https"
	}
	if p := r.GetPrefixRewrite(); p != "" {
		path = p + "…"
	}
	target := r.GetHostRedirect()
	if r.GetPortRedirect() != 0 {
		target += ":" + strconv.Itoa(int(r.GetPortRedirect()))
	}
	if scheme != "" {
		target = scheme + "://" + target
	}
	return target + path
}
